package attack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// dreddRelease is the version that this was written against.
const dreddRelease = "14.1.0"

// beyondDredd are operations whose success takes more than one request, each with the reason; those that need a sign-in it asks for as a stranger.
var beyondDredd = map[string]string{
	"verify-email": needsMail, "confirm-email": needsMail, "undo-email": needsMail, "reset-password": needsMail, "accept-invitation": needsMail, "join": needsMail,
	"complete-google": needsConsent, "link-google": needsConsent, "unlink-google": needsConsent, "complete-connect": needsConsent, "google-callback": needsConsent, "google-sign-in-callback": needsConsent, "start-google": needsConsent,
	"enrol-second-factor": needsFactor, "confirm-second-factor": needsFactor, "disable-second-factor": needsFactor, "renew-recovery-codes": needsFactor, "verify-second-factor": needsFactor,
	"delete-account": takesAway, "leave": takesAway, "logout": takesAway, "change-password": takesAway, "end-session": takesAway, "end-other-sessions": takesAway, "switch-customer": takesAway, "remove-person": takesAway,
	"change-role": takesAway, "put-demands": takesAway, "put-ip-allowlist": takesAway, "disconnect-mailbox": takesAway, "revoke-api-key": takesAway, "revoke-invitation": takesAway, "execute": takesAway,
	"cancel-job": needsState, "pause-job": needsState, "resume-job": needsState, "undo-job": needsState, "resend-invitation": needsState, "export-account": needsState, "connect-mailbox": needsState,
	"cancel-subscription": needsState, "change-plan": needsState, "checkout": needsState, "open-portal": needsState, "preview-change": needsState, "resume-subscription": needsState,
	"follow-job": notJSON, "fetch-export": notJSON, "current-session": "it is a cookie's",
}

const (
	needsMail    = "its token comes by mail"
	needsConsent = "it ends what begins at Google"
	needsFactor  = "it needs a second factor's code"
	takesAway    = "what comes after would stand outside"
	needsState   = "it is right in one state only"
	notJSON      = "its answer is no JSON"
)

var (
	dreddTotals = regexp.MustCompile(`complete: (\d+) passing, (\d+) failing, (\d+) errors, \d+ skipped, (\d+) total`)
	dreddFound  = regexp.MustCompile(`(?m)^(?:fail|error): ([A-Z]+ \(\d+\) .*?)(?: duration: \d+ms)?$`)
)

// dredd compares answers with the document: as a stranger to all that needs a sign-in, which must be refused as the document says, and as the owner
// to all that succeeds by one request.
func dredd(ctx context.Context, r *ground) (tried string, found []string, err error) {
	program, err := r.installDredd(ctx)
	if err != nil {
		return "", nil, err
	}
	var d document
	var whole map[string]any
	if err := errors.Join(r.api.Do(ctx, http.MethodGet, "/api/openapi.json", nil, &d), r.api.Do(ctx, http.MethodGet, "/api/openapi.json", nil, &whole)); err != nil {
		return "", nil, err
	}
	for _, who := range []string{"stranger", "owner"} {
		text, n, err := r.forDredd(d, whole, who)
		if err != nil {
			return "", nil, err
		}
		file := r.log("dredd-" + who + ".json")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return "", nil, fmt.Errorf("write the document: %w", err)
		}
		args := []string{program, file, r.API, "--color=false", "--loglevel=error"}
		if who == "owner" {
			args = append(args, "--header", "Authorization: Bearer "+r.api.Token)
		}
		said, code, err := r.run(ctx, "dredd-"+who+".txt", "node", args...)
		if err != nil {
			return "", nil, err
		}
		total := dreddTotals.FindStringSubmatch(said)
		if total == nil || code > 1 {
			return "", nil, fmt.Errorf("dredd came to no end, exit code %d", code)
		}
		if asked, _ := strconv.Atoi(total[4]); asked != n { // digits
			found = append(found, fmt.Sprintf("as %s it asked %d times for %d operations", who, asked, n))
		}
		for _, m := range dreddFound.FindAllStringSubmatch(said, -1) {
			found = append(found, who+": "+m[1])
		}
		tried += fmt.Sprintf("as %s %s of %s answers as the document says, ", who, total[1], total[4])
	}
	slices.Sort(found)
	return strings.TrimSuffix(tried, ", "), slices.Compact(found), nil
}

// installDredd gives the path of its program.
func (r *ground) installDredd(ctx context.Context) (string, error) {
	dir, err := filepath.Abs(r.log("npm"))
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return "", fmt.Errorf("make a folder for dredd: %w", err)
	}
	program := filepath.Join(dir, "node_modules", "dredd", "bin", "dredd")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	cmd := exec.CommandContext(ctx, "npm", "install", "--prefix", dir, "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "dredd@"+dreddRelease)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("install dredd: %w\n%s", err, out)
	}
	return program, nil
}

// forDredd is the document in the version that dredd reads, of the operations that who can ask for, with one answer each and with examples of what is
// sent; and how many operations these are.
func (r *ground) forDredd(d document, whole map[string]any, who string) (text []byte, n int, err error) {
	raw, err := json.Marshal(plainer(whole))
	var out map[string]any
	if err == nil {
		err = json.Unmarshal(raw, &out) // a copy
	}
	if err != nil {
		return nil, 0, fmt.Errorf("copy the document: %w", err)
	}
	out["openapi"] = "3.0.3"
	paths, _ := out["paths"].(map[string]any)
	for path, methods := range d.Paths {
		at, _ := paths[path].(map[string]any)
		for method, op := range methods {
			if of, is := at[method].(map[string]any); is && r.exemplify(d, op, of, who) {
				n++
			} else {
				delete(at, method)
			}
		}
		if len(at) == 0 {
			delete(paths, path)
		}
	}
	text, err = json.Marshal(out)
	return text, n, err
}

// exemplify leaves the one answer that who is to get, and says what to send; false where who cannot ask for it.
func (r *ground) exemplify(d document, op described, of map[string]any, who string) bool {
	answers, _ := of["responses"].(map[string]any)
	for status := range answers {
		wanted := status == "401"
		if who == "owner" {
			wanted = strings.HasPrefix(status, "2")
		}
		if !wanted {
			delete(answers, status)
		}
	}
	if len(answers) != 1 || who == "owner" && beyondDredd[op.OperationID] != "" || who == "stranger" && len(op.Security) == 0 {
		return false
	}
	for status := range answers {
		answer, _ := answers[status].(map[string]any)
		delete(answer, "headers") // it wants all of them, and which there are depends
		contents, _ := answer["content"].(map[string]any)
		for kind, c := range op.Responses[status].Content {
			contents[kind].(map[string]any)["example"] = d.least(c.Schema)
		}
	}
	parameters, _ := of["parameters"].([]any)
	for i, p := range op.Parameters {
		parameter, _ := parameters[i].(map[string]any)
		if parameter["required"] == true {
			parameter["example"] = r.example(d, p.Name, p.Schema, p.Description)
		}
	}
	if content, has := op.RequestBody.Content["application/json"]; has {
		body, _ := of["requestBody"].(map[string]any)["content"].(map[string]any)["application/json"].(map[string]any)
		body["example"] = json.RawMessage(strings.ReplaceAll(r.bodies(d, op.OperationID, content.Schema)[0], mark, ""))
	}
	return true
}

// least is an answer with the members that are always there. Dredd wants all that an example has, and would make one with everything.
func (d document) least(s schema) any {
	if _, ref, is := strings.Cut(s.Ref, "schemas/"); is {
		s = d.Components.Schemas[ref]
	}
	if s.Items != nil {
		return []any{}
	}
	switch fmt.Sprint(s.Type) {
	case "object":
		whole := map[string]any{}
		for _, name := range s.Required {
			whole[name] = d.least(s.Properties[name])
		}
		return whole
	case "integer", "number":
		return 0
	case "boolean":
		return false
	}
	return ""
}

// plainer takes away what OpenAPI 3.1 says and 3.0 cannot: types in lists and lists of examples. Dredd knows additionalProperties in the other
// direction only.
func plainer(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = plainer(v[i])
		}
	case map[string]any:
		if types, is := v["type"].([]any); is {
			types = slices.DeleteFunc(types, func(t any) bool { return t == "null" })
			v["type"], v["nullable"] = types[0], true
		}
		if _, is := v["examples"].([]any); is {
			delete(v, "examples")
		}
		delete(v, "additionalProperties")
		for name := range v {
			v[name] = plainer(v[name])
		}
	}
	return v
}
