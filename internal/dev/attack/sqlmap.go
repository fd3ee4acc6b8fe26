package attack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// perTarget bounds sqlmap on one request. What it cut off is told.
const perTarget = 3 * time.Minute

var (
	// its last word; what "appears to be injectable" on the way there it takes back itself when it looks again
	injectable = regexp.MustCompile(`(?m)^Parameter: .*|.* is vulnerable`)
	sound      = "do not appear to be injectable"
)

// elsewhere is run by sqlmap before each request: it comes from another address, so that what is counted by address does not keep it out.
const elsewhere = `import inspect, random

inspect.getargspec = inspect.getfullargspec # which sqlmap 1.7 asks for, and Python 3.11 has no more

def preprocess(req):
    req.add_header("X-Forwarded-For", "11.%d.%d.%d" % (random.randrange(256), random.randrange(256), random.randrange(1, 255)))
`

// sqlmap tries level 3 and risk 2 on every parameter of the document: in paths, queries, headers and bodies.
func sqlmap(ctx context.Context, r *ground) (tried string, found []string, err error) {
	d, err := r.document(ctx)
	if err != nil {
		return "", nil, err
	}
	script, err := r.script()
	if err != nil {
		return "", nil, err
	}
	targets, marks, all, operations := r.targets(d), 0, answers{}, map[string]answers{}
	var cut []string
	if len(targets) < 20 {
		return "", nil, fmt.Errorf("only %d requests in the document", len(targets))
	}
	for i, t := range targets {
		if err := r.stayIn(ctx); err != nil {
			return "", nil, err
		}
		file := r.log("sqlmap-" + t.name() + ".http")
		if err := os.WriteFile(file, []byte(r.filled(t.request)), 0o600); err != nil {
			return "", nil, fmt.Errorf("write request: %w", err)
		}
		before, err := r.answered(ctx)
		if err != nil {
			return "", nil, err
		}
		began := time.Now()
		said, late, err := r.runSQLMap(ctx, t, file, script)
		marks += t.marks
		switch hits := injectable.FindAllString(said, -1); {
		case len(hits) > 0:
			found = append(found, t.name()+": "+hits[len(hits)-1])
		case late:
			cut = append(cut, t.name())
		case err != nil:
			return "", nil, err
		case !strings.Contains(said, sound):
			found = append(found, t.name()+": sqlmap came to no end, see "+filepath.Base(file))
		}
		after, err := r.answered(ctx)
		if err != nil {
			return "", nil, err
		}
		of := after.since(before)
		all.add(of)
		if operations[t.operation] == nil {
			operations[t.operation] = answers{}
		}
		operations[t.operation].add(of)
		r.say("sqlmap %d of %d: %s, %d places, %s: %s", i+1, len(targets), t.name(), t.marks, time.Since(began).Round(time.Second), of)
	}
	never := untaken(operations)
	tried = fmt.Sprintf("%d places of %d operations in %d requests; %d answers: %s; of %d operations nothing was taken (%s)", marks, len(operations), len(targets), all.sum(), all, len(never), strings.Join(never, ", "))
	if len(cut) > 0 {
		tried += fmt.Sprintf("; cut off after %s: %s;", perTarget, strings.Join(cut, ", "))
	}
	return tried, found, nil
}

// runSQLMap tries one request; late says that it was cut off.
func (r *ground) runSQLMap(ctx context.Context, t target, file, script string) (said string, late bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, perTarget, errLate)
	defer cancel()
	said, _, err = r.run(ctx, "sqlmap-"+t.name()+".txt", "sqlmap", "-r", file, "--ignore-stdin", "--batch", "--level", "3", "--risk", "2", "--dbms", "postgresql", "--threads", "4",
		"--flush-session", "--disable-coloring", "--skip", "user-agent,referer,host", "--ignore-code", "400,401,402,403,404,409,410,413,415,422,429", "--preprocess", script, "--output-dir", r.log("sqlmap"))
	return said, errors.Is(context.Cause(ctx), errLate), err
}

// errLate cuts off who takes too long for one request.
var errLate = errors.New("too long for one request")

// script writes what makes each request come from another address, and tells where.
func (r *ground) script() (file string, err error) {
	file = filepath.Join(r.log("elsewhere"), "elsewhere.py")
	if err = os.MkdirAll(filepath.Dir(file), 0o755); err == nil {
		err = os.WriteFile(filepath.Join(filepath.Dir(file), "__init__.py"), nil, 0o600) // it takes no script without
	}
	if err == nil {
		err = os.WriteFile(file, []byte(elsewhere), 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("write sqlmap's script: %w", err)
	}
	return file, nil
}

// untaken are the operations of which no request was taken.
func untaken(operations map[string]answers) (never []string) {
	for operation, of := range operations {
		if of.taken() == 0 {
			never = append(never, operation)
		}
	}
	slices.Sort(never)
	return never
}

// answers are how many there were of each status.
type answers map[int]int

var withStatus = regexp.MustCompile(`(?m)^mailsweep_http_seconds_count\{.*status="(\d+)".*\} (\d+)`)

// answered asks the API what it has answered until now, but for what only asks for its health.
func (r *ground) answered(ctx context.Context) (answers, error) {
	raw, err := get(ctx, r.Ops+"/metrics")
	all := answers{}
	for _, m := range withStatus.FindAllStringSubmatch(raw, -1) {
		status, _ := strconv.Atoi(m[1]) // of digits
		n, _ := strconv.Atoi(m[2])      // of digits
		all[status] += n
	}
	return all, err
}

func (a answers) since(before answers) answers {
	fresh := answers{}
	for status, n := range a {
		if n > before[status] {
			fresh[status] = n - before[status]
		}
	}
	return fresh
}

func (a answers) add(more answers) {
	for status, n := range more {
		a[status] += n
	}
}

func (a answers) sum() (n int) {
	for _, of := range a {
		n += of
	}
	return n
}

// taken are the requests that were not refused.
func (a answers) taken() (n int) {
	for status, of := range a {
		if status < 400 {
			n += of
		}
	}
	return n
}

// String is "12 x 200, 3 x 422".
func (a answers) String() string {
	var parts []string
	for status, n := range a {
		parts = append(parts, fmt.Sprintf("%03d\x00%d x %d", status, n, status))
	}
	slices.Sort(parts)
	for i, p := range parts {
		_, parts[i], _ = strings.Cut(p, "\x00")
	}
	return strings.Join(parts, ", ")
}
