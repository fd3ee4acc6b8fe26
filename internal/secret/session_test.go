package secret_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/secret"
)

func TestACSRFTokenBelongsToOneCookieAndDoesNotTellIt(t *testing.T) {
	t.Parallel()
	one, _ := secret.NewToken()
	two, _ := secret.NewToken()
	token := secret.CSRFToken(one)
	require.Len(t, token, 43)
	require.Equal(t, token, secret.CSRFToken(one))
	require.True(t, secret.IsCSRFToken(token, one))
	for _, wrong := range []string{"", one, token[:42], token + "A", secret.CSRFToken(two)} {
		require.False(t, secret.IsCSRFToken(wrong, one))
	}
}
