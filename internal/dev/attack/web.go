package attack

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// words are lists that come with Debian's wfuzz, and names that services like this one forget.
var words = []string{"/usr/share/wfuzz/wordlist/general/common.txt", "/usr/share/wfuzz/wordlist/general/admin-panels.txt"}

var forgotten = []string{".env", ".git/HEAD", ".git/config", "debug/pprof/", "debug/vars", "metrics", "ops", "ops/jobs", "asynqmon", "swagger.json", "openapi.yaml", "api/v1", "api/v2",
	"actuator/health", "server-status", "backup.sql", "dump.rdb", "config.json", "docker-compose.yml", "health/ready", "graphql", "wp-login.php", "webhooks/stripe", "api/internal", "api/v1/admin",
	"api/v1/users", "api/v1/customers", "api/v1/metrics", "api/v1/debug", "oauth/token", "..%2f..%2fetc/passwd", "static/../../go.mod"}

// ffuf looks for paths that answer and are in no document.
func ffuf(ctx context.Context, r *ground) (tried string, found []string, err error) {
	list, n := r.log("words.txt"), 0
	var all strings.Builder
	for _, file := range words {
		raw, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			r.say("%s is not there (Debian's wfuzz has it): fewer words are tried", file)
			continue
		}
		all.Write(append(raw, '\n'))
	}
	all.WriteString(strings.Join(forgotten, "\n") + "\n")
	if err := os.WriteFile(list, []byte(all.String()), 0o600); err != nil {
		return "", nil, fmt.Errorf("write words: %w", err)
	}
	for _, prefix := range []string{"/", "/api/", "/api/v1/", "/oauth/", "/webhooks/"} {
		out := r.log("ffuf.json")
		if _, _, err := r.run(ctx, "ffuf.txt", "ffuf", "-w", list, "-u", r.API+prefix+"FUZZ", "-mc", "all", "-fc", "404", "-t", "16", "-of", "json", "-o", out, "-s"); err != nil {
			return "", nil, err
		}
		raw, err := os.ReadFile(out)
		var answers struct {
			Results []answered
		}
		if err == nil {
			err = json.Unmarshal(raw, &answers)
		}
		if err != nil {
			return "", nil, fmt.Errorf("read what ffuf found: %w", err)
		}
		n += strings.Count(all.String(), "\n")
		for _, a := range answers.Results {
			if a.URL = strings.TrimPrefix(a.URL, r.API); !a.known() {
				found = append(found, fmt.Sprintf("%s answers %d", a.URL, a.Status))
			}
		}
	}
	slices.Sort(found)
	return fmt.Sprintf("%d paths", n), slices.Compact(found), nil
}

// answered is a path that ffuf got an answer from.
type answered struct {
	URL      string
	Status   int
	Redirect string `json:"redirectlocation"`
}

// open are the pages and documents that anybody may see.
var open = strings.Fields("/ /health /health/ready /api/docs /api/openapi.json /demo /signup /login /forgot /reset-password /verify-email /accept-invitation /pricing /privacy /security /support /terms")

// known says whether the answer tells nobody anything: a path that is open, under any spelling that the router takes for the same, one that wants a
// sign-in first, or one that takes another method only.
func (a answered) known() bool {
	switch a.Status {
	case http.StatusUnauthorized, http.StatusMethodNotAllowed:
		return true
	case http.StatusSeeOther:
		return strings.HasPrefix(a.Redirect, "/login?")
	}
	return slices.Contains(open, cmp.Or(strings.TrimSuffix(a.URL, "/"), "/"))
}

// slow are three kinds of clients that are slow on purpose: in sending a header, in sending a body, in reading.
func slow(ctx context.Context, r *ground) (told string, found []string, err error) {
	health := r.API + "/health"
	var tried []string
	for _, kind := range []struct{ name, of string }{{"headers", "-H"}, {"bodies", "-B"}, {"reads", "-X"}} {
		file := r.log("slow-" + kind.name)
		at := map[string]string{"headers": health, "bodies": r.API + "/api/v1/auth/login", "reads": r.API + "/api/openapi.json"}[kind.name]
		args := []string{"-c", "500", kind.of, "-g", "-o", file, "-i", "5", "-r", "200", "-l", "45", "-p", "3", "-u", at}
		if kind.of == "-X" {
			args = append(args, "-w", "10", "-y", "20", "-n", "5", "-z", "32", "-k", "3")
		}
		said, _, err := r.run(ctx, "slow-"+kind.name+".txt", "slowhttptest", args...)
		if err != nil {
			return "", nil, err
		}
		down, err := unavailable(file + ".csv")
		if err != nil {
			return "", nil, err
		}
		if down > 0 {
			found = append(found, fmt.Sprintf("slow %s: for %d s the API answered nobody else", kind.name, down))
		}
		ended := endedAt.FindStringSubmatch(said)
		if ended == nil {
			return "", nil, fmt.Errorf("slowhttptest does not say when it ended")
		}
		tried = append(tried, kind.name+" "+ended[1]+" s")
		if seconds, _ := strconv.Atoi(ended[1]); kind.of != "-X" && seconds > 15 { // of digits; who reads slowly gets what fits into the sockets
			found = append(found, fmt.Sprintf("slow %s: connections were held for %d s", kind.name, seconds))
		}
	}
	return "500 clients each; the last was let go after: slow " + strings.Join(tried, ", "), found, nil
}

var endedAt = regexp.MustCompile(`Test ended on (\d+)\w+ second`)

// unavailable reads slowhttptest's table: in how many seconds the service did not answer.
func unavailable(file string) (seconds int, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, fmt.Errorf("read what slowhttptest saw: %w", err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) < 2 {
		return 0, fmt.Errorf("read what slowhttptest saw: %d rows, %w", len(rows), err)
	}
	at := slices.IndexFunc(rows[0], func(name string) bool { return strings.TrimSpace(name) == "Service Available" })
	if at < 0 {
		return 0, fmt.Errorf("slowhttptest's table has no column of availability: %q", rows[0])
	}
	for _, row := range rows[1:] {
		if strings.TrimSpace(row[at]) == "0" {
			seconds++
		}
	}
	return seconds, nil
}

var counted = regexp.MustCompile(`(?m)^mailsweep_http_seconds_count\{.*status="(\d)\d\d".*\} (\d+)`)

// aftermath asks the API itself: what it answered meanwhile, and whether it is still well.
func aftermath(ctx context.Context, r *ground) (tried string, found []string, err error) {
	if r.Stack == nil {
		return "nothing that was attacked runs", nil, nil
	}
	raw, err := get(ctx, r.Ops+"/metrics")
	if err != nil {
		return "", nil, err
	}
	answers := map[string]int{}
	for _, m := range counted.FindAllStringSubmatch(raw, -1) {
		n, _ := strconv.Atoi(m[2]) // of digits
		answers[m[1]] += n
	}
	if answers["2"] == 0 {
		found = append(found, "the figures of answers are not there")
	}
	if n := answers["5"]; n > 0 {
		found = append(found, fmt.Sprintf("%d answers 5xx", n))
	}
	if ready, err := get(ctx, r.API+"/health/ready"); err != nil {
		found = append(found, "not ready afterwards: "+ready)
	}
	return fmt.Sprintf("%d answers 2xx, %d 4xx, %d 5xx", answers["2"], answers["4"], answers["5"]), found, nil
}

func get(ctx context.Context, address string) (body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", fmt.Errorf("make request: %w", err)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", address, err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(answer.Status)
	}
	return string(raw), err
}
