package google_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"mailsweep/internal/sim/google"
)

func TestLedgerTellsWhatWasSpentSinceAMark(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{}, 20)
	id := r.all(t, "", false)[0]
	res, err := http.Post(r.url+"/sim/mark?name=calm", "", nil)
	if err != nil || res.StatusCode != http.StatusNoContent {
		t.Fatal(res, err)
	}
	for range 2 {
		if _, err := r.svc.Users.Messages.Get("me", id).Do(); err != nil {
			t.Fatal(err)
		}
	}
	since, _, err := r.sim.Since("calm", me)
	if err != nil || since.Calls["messages.get"] != 2 || since.Sum() != 40 || len(since.Calls) != 1 {
		t.Errorf("%+v %v", since, err)
	}
	var shown map[string]google.Ledger
	if err := json.Unmarshal([]byte(r.page(t, "/sim/since?name=calm")), &shown); err != nil || shown[me].Units["messages.get"] != 40 {
		t.Error(shown, err)
	}
	r.sim.Mark("calm")
	if since, _, err = r.sim.Since("calm", me); err != nil || since.Sum() != 0 {
		t.Errorf("a mark made again begins anew: %+v %v", since, err)
	}
	if _, _, err := r.sim.Since("storm", me); !errors.Is(err, google.ErrUnknownMark) {
		t.Error(err)
	}
}
