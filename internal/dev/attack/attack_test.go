package attack

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailsweep/internal/dev/customer"
	"mailsweep/internal/dev/stack"
)

func ours(t *testing.T) (d document) {
	t.Helper()
	raw, err := os.ReadFile("../../httpapi/testdata/openapi.json")
	if err == nil {
		err = json.Unmarshal(raw, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Every operation of the document that takes anything is attacked in all its places: path, query, headers and each string of the body.
func TestEveryPlaceOfTheDocumentIsMarked(t *testing.T) {
	t.Parallel()
	d := ours(t)
	r := &ground{Stack: &stack.Stack{API: "http://127.0.0.1:1"}, api: customer.Client{Token: "t"}, ids: map[string]string{"job": "job_1", "mbx": "mbx_1", "pln": "pln_1", "notice": "trial_ending", "sender": "a@shop.example", "cursor:/api/v1/mailboxes/mbx_1/senders?limit=1": "next"}}
	targets := r.targets(d)
	byName, marks := map[string]target{}, map[string]int{}
	for _, x := range targets {
		byName[x.name()], marks[x.operation] = x, marks[x.operation]+x.marks
	}
	takes := 0
	for _, methods := range d.Paths {
		for _, op := range methods {
			if (len(op.Parameters) > 0 || op.RequestBody.Content != nil) && op.OperationID != "put-demands" { // it takes a truth value alone
				takes++
				if n := marks[op.OperationID]; n < len(op.Parameters) || n == 0 {
					t.Errorf("%s has %d marks for %d parameters", op.OperationID, n, len(op.Parameters))
				}
				for _, p := range op.Parameters {
					if p.Name == onceKey && !strings.Contains(byName[op.OperationID+"-key"].request, "\r\nIdempotency-Key: "+op.OperationID+"*\r\n") {
						t.Errorf("%s is not tried with a key", op.OperationID)
					}
				}
			}
		}
	}
	if takes < 40 || len(marks) != takes {
		t.Errorf("%d operations are attacked of %d that take something", len(marks), takes)
	}
	for _, x := range targets {
		if strings.Contains(x.request, `"cookie"`) {
			t.Errorf("%s asks for a cookie, which only a page may", x.name())
		}
		if key := strings.Contains(x.request, onceKey); key != (x.variant == "-key") || key && x.marks != 1 {
			t.Errorf("%s: beside a key every other value is another request under it", x.name())
		}
		if strings.Contains(x.request, "{") && strings.Contains(strings.NewReplacer("{token}", "", "{\"", "", "[{", "", "{}", "").Replace(x.request), "{") {
			t.Errorf("%s has a place that nothing fills:\n%s", x.name(), x.request)
		}
	}
	for operation, parts := range map[string][]string{
		"get-job":         {"GET /api/v1/jobs/job_1*?wait=0* HTTP/1.1\r\n", "\r\nIf-None-Match: x*\r\n", "\r\nAuthorization: Bearer {token}\r\n"},
		"list-senders":    {"/senders?sort=messages*&filter=x*&safety=safe*&limit=1*&cursor=next* HTTP"},
		"list-audit":      {"/audit?limit=1*&cursor=x* HTTP"},
		"link-google":     {`"ticket":"x*"`},
		"signup-2":        {`"invitation":"x*"`},
		"dry-run":         {"POST /api/v1/gmail/cleanup/dry-run HTTP/1.1\r\n", `"mailbox_id":"mbx_1*"`, `{"from":"a@shop.example*"}`},
		"forgot-password": {`"email":"eve@example.com*"`},
	} {
		for _, part := range parts {
			if !strings.Contains(byName[operation].request, part) {
				t.Errorf("%s lacks %q:\n%s", operation, part, byName[operation].request)
			}
		}
	}
	at := func(operation string) int {
		return slices.IndexFunc(targets, func(x target) bool { return x.operation == operation })
	}
	if !(at("rotate-api-key") < at("revoke-api-key") && at("revoke-api-key") < at("logout")) {
		t.Error("what takes things away goes before what needs them")
	}
}

// Dredd asks as a stranger for all that needs a sign-in, and as the owner for all that is not named with a reason.
func TestDreddAsksForAllThatSucceedsAtOnce(t *testing.T) {
	t.Parallel()
	d := ours(t)
	r := &ground{Stack: &stack.Stack{}, ids: map[string]string{"job": "job_1", "exp": "exp_1"}}
	ask := func(who string) (string, int) {
		var whole map[string]any
		raw, err := os.ReadFile("../../httpapi/testdata/openapi.json")
		if err == nil {
			err = json.Unmarshal(raw, &whole)
		}
		if err != nil {
			t.Fatal(err)
		}
		text, n, err := r.forDredd(d, whole, who)
		if err != nil {
			t.Fatal(err)
		}
		return string(text), n
	}
	all, secured, names := 0, 0, map[string]bool{}
	for _, methods := range d.Paths {
		for _, op := range methods {
			all, names[op.OperationID] = all+1, true
			if len(op.Security) > 0 {
				secured++
			}
		}
	}
	for name := range beyondDredd {
		if !names[name] {
			t.Errorf("there is no operation %s", name)
		}
	}
	text, n := ask("owner")
	if n != all-len(beyondDredd) || !strings.Contains(text, `"example":"exp_1"`) || strings.Contains(text, `"type":["`) || strings.Contains(text, "x*") {
		t.Errorf("as owner it asks for %d of %d: %.300s", n, all, text)
	}
	if _, n := ask("stranger"); n != secured {
		t.Errorf("as a stranger it asks for %d of %d", n, secured)
	}
}

func TestWhatTheToolsSayIsRead(t *testing.T) {
	t.Parallel()
	for said, found := range map[string]bool{
		"Parameter: #1* (URI)\n    Type: boolean-based blind": true,
		"[INFO] URI parameter '#1*' is vulnerable. Do you":    true,
		"[INFO] GET parameter 'q' appears to be 'PostgreSQL > 8.1 stacked queries' injectable\n[WARNING] false positive or unexploitable injection point detected": false,
		"[CRITICAL] all tested parameters do not appear to be injectable. Try to increase":                                                                         false,
		"[WARNING] (custom) HEADER parameter 'Idempotency-Key #1*' does not seem to be injectable":                                                                 false,
	} {
		if injectable.MatchString(said) != found {
			t.Errorf("%q: found is not %v", said, found)
		}
	}
	for a, known := range map[answered]bool{
		{"/", 200, ""}: true, {"/login/", 200, ""}: true, {"/api/v1/billing", 401, ""}: true, {"/settings", 303, "/login?next=%2Fsettings"}: true, {"/webhooks/stripe", 405, ""}: true,
		{"/.env", 200, ""}: false, {"/api/v1/billing", 200, ""}: false, {"/admin", 303, "/admin/"}: false, {"/ops", 403, ""}: false,
	} {
		if a.known() != known {
			t.Errorf("%v is not %v", a, known)
		}
	}
	file := filepath.Join(t.TempDir(), "slow.csv")
	table := "Seconds,Closed,Pending,Connected,Service Available\n0,0,1,0,1000\n1,0,100,100,0\n2,400,0,100,1000\n"
	if err := os.WriteFile(file, []byte(table), 0o600); err != nil {
		t.Fatal(err)
	}
	if down, err := unavailable(file); down != 1 || err != nil {
		t.Error(down, err)
	}
	if m := endedAt.FindStringSubmatch("Test ended on 7th second\nExit status: No open connections left"); m == nil || m[1] != "7" {
		t.Error(m)
	}
	all := answers{}
	all.add(answers{200: 1, 422: 2}.since(answers{422: 1}))
	all.add(answers{200: 11, 304: 1}.since(nil))
	if all.String() != "12 x 200, 1 x 304, 1 x 422" || all.sum() != 14 || all.taken() != 13 {
		t.Error(all)
	}
	if m := counted.FindStringSubmatch(`mailsweep_http_seconds_count{method="GET",route="/x",status="503"} 7`); m == nil || m[1] != "5" || m[2] != "7" {
		t.Error(m)
	}
}
