package google_test

import (
	"net/http"
	"testing"

	"google.golang.org/api/gmail/v1"

	"mailsweep/internal/sim/google"
)

func TestListingWhileModifyingSkipsOnlyWithOffsets(t *testing.T) {
	t.Parallel()
	for _, paging := range []string{"", "offset"} {
		r := newRig(t, google.Config{Quirks: google.Quirks{PageTokens: paging}}, 400)
		total, seen, token := len(r.all(t, "in:inbox", false)), 0, ""
		for {
			page, err := r.svc.Users.Messages.List("me").Q("in:inbox").MaxResults(20).PageToken(token).Do()
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, m := range page.Messages {
				ids = append(ids, m.Id)
			}
			seen += len(ids)
			if len(ids) > 0 {
				if err := r.svc.Users.Messages.BatchModify("me", &gmail.BatchModifyMessagesRequest{Ids: ids, AddLabelIds: []string{"TRASH"}, RemoveLabelIds: []string{"INBOX"}}).Do(); err != nil {
					t.Fatal(err)
				}
			}
			if token = page.NextPageToken; token == "" {
				break
			}
		}
		if (seen == total) != (paging == "") {
			t.Errorf("%q: %d of %d seen", paging, seen, total)
		}
	}
}

func TestAnswersAreCompressedOnlyForAgentsThatSayGzip(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{}, 20)
	tokens, _ := r.sim.Grant(me)
	for agent, want := range map[string]string{"x": "", "x (gzip)": "gzip"} {
		req, _ := http.NewRequestWithContext(r.ctx, http.MethodGet, r.url+"/gmail/v1/users/me/messages", nil)
		req.Header.Set("Authorization", "Bearer "+tokens.Access)
		req.Header.Set("Accept-Encoding", "gzip")
		req.Header.Set("User-Agent", agent)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if got := res.Header.Get("Content-Encoding"); got != want {
			t.Errorf("%q: %q", agent, got)
		}
	}
}
