package web

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestASenderIsKeptByItselfOrByItsDomain(t *testing.T) {
	t.Parallel()
	w := workbench{kept: []string{"@bank.example", "boss@work.example"}}
	for sender, kept := range map[string]bool{
		"a@bank.example": true, "a@mail.bank.example": true, "@bank.example": true, "@mail.bank.example": true, "boss@work.example": true,
		"a@notbank.example": false, "@work.example": false, "x@work.example": false, "": false, "@example": false,
	} {
		require.Equal(t, kept, w.Kept(sender), sender)
	}
}
