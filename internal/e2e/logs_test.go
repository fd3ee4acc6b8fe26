package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRequestIDFollowsAJobIntoTheWorker(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	u := r.join(t, "ada", 300)
	p := u.plan("trash", old())
	u.Header = http.Header{"X-Request-Id": {"my-request.42"}}
	j := u.execute(p)
	u.Header = nil
	u.finish(j)

	// both processes may write their last line after the job is over
	until(t, patience, "the API's line", func() bool {
		return r.told(t, "api", map[string]string{"request_id": "my-request.42", "route": "/api/v1/gmail/cleanup/execute", "msg": "request"})
	})
	until(t, patience, "the worker's first line", func() bool {
		return r.told(t, "worker", map[string]string{"request_id": "my-request.42", "job_id": j.ID, "msg": "job claimed"})
	})
	until(t, patience, "the worker's last line", func() bool {
		return r.told(t, "worker", map[string]string{"request_id": "my-request.42", "job_id": j.ID, "msg": "job claim ended"})
	})
}

// told says whether a program wrote a line with all these attributes.
func (r *rig) told(t *testing.T, program string, want map[string]string) bool {
	t.Helper()
	for line := range strings.Lines(r.logs(t, program)) {
		var got map[string]any
		if json.Unmarshal([]byte(line), &got) != nil {
			continue // the last line may be half written
		}
		fits := true
		for k, v := range want {
			fits = fits && got[k] == v
		}
		if fits {
			return true
		}
	}
	return false
}

// telling is what gives mail, people or keys away, by its looks.
var telling = map[string]*regexp.Regexp{
	"an e-mail address":      regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z]{2,}`),
	"Google's access token":  regexp.MustCompile(`ya29\.[\w-]{8}`),
	"Google's refresh token": regexp.MustCompile(`1//[\w-]{8}`),
	"Google's code":          regexp.MustCompile(`4/0[\w-]{8}`),
	"an access token":        regexp.MustCompile(`eyJ[\w-]{10,}\.`),
}

// secrets are the keys and passwords that the programs were given.
func (r *rig) secrets(t *testing.T) (all []string) {
	t.Helper()
	for name, value := range r.Env {
		if u, err := url.Parse(value); err == nil && u.User != nil {
			password, _ := u.User.Password()
			all = append(all, password)
		}
		if !regexp.MustCompile(`KEY|PEPPER|SECRET`).MatchString(name) {
			continue
		}
		all = append(all, regexp.MustCompile(`[A-Za-z0-9+/=_-]{16,}`).FindAllString(value, -1)...)
	}
	require.Greater(t, len(all), 8, "the keys were found")
	return all
}
