// Package attack lets attackers that others wrote loose on a stack of its own: scanners of SQL, of forgotten paths, of broken
// promises and of code, and slow clients.
package attack

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mailsweep/internal/dev/customer"
	"mailsweep/internal/dev/local"
	"mailsweep/internal/dev/stack"
	"mailsweep/internal/sim/google"
)

// Options says where the project is, who attacks, and where the table goes.
type Options struct {
	// Dir is the folder of the services, ".dev"; what the attackers print is kept below it.
	Dir, Root string
	// Only are attackers by name; none means all.
	Only []string
	Out  io.Writer
}

// attacker is one tool. attack returns what was tried, in a few words with numbers, and a line for each thing found.
type attacker struct {
	name    string
	program string // that must be there
	debian  string // package that has it
	attack  func(ctx context.Context, r *ground) (tried string, found []string, err error)
}

// attackers in the order in which they run: what reads code first, what tires the API last.
var attackers = []attacker{
	{name: "gitleaks", attack: gitleaks},
	{name: "gosec", attack: gosec},
	{name: "govulncheck", attack: govulncheck},
	{name: "ffuf", program: "ffuf", debian: "ffuf", attack: ffuf},
	{name: "dredd", program: "npm", debian: "npm", attack: dredd},
	{name: "sqlmap", program: "sqlmap", debian: "sqlmap", attack: sqlmap},
	{name: "slowhttptest", program: "slowhttptest", debian: "slowhttptest", attack: slow},
}

// ground is where they attack: a stack with a customer who has one of everything.
type ground struct {
	*stack.Stack
	Options
	api customer.Client
	ids map[string]string // of what the customer has, by kind: "mbx" …
}

const password = "a pass phrase for attackers"

// Run prints one line per attacker: name | what it tried | what it found. It returns 1 if any found something or could not run.
func Run(ctx context.Context, o Options) int {
	chosen := slices.DeleteFunc(slices.Clone(attackers), func(a attacker) bool { return len(o.Only) > 0 && !slices.Contains(o.Only, a.name) })
	if len(chosen) == 0 {
		fmt.Fprintln(o.Out, "make attack: no attacker is called that")
		return 1
	}
	r, err := prepare(ctx, o, chosen)
	if r != nil && r.Stack != nil {
		defer r.Stop()
	}
	if err != nil {
		fmt.Fprintln(o.Out, "make attack:", err)
		return 1
	}
	code := 0
	var lines []string
	for _, a := range append(chosen, attacker{name: "the API itself", attack: aftermath}) {
		fmt.Fprintf(o.Out, "%s …\n", a.name)
		began := time.Now()
		tried, found, err := a.attack(ctx, r)
		if err != nil {
			found = append(found, "could not run: "+err.Error())
		}
		code = max(code, min(len(found), 1))
		lines = append(lines, fmt.Sprintf("%s | %s in %s | %s", a.name, tried, time.Since(began).Round(time.Second), cmp.Or(strings.Join(found, "; "), "nothing")))
	}
	fmt.Fprintf(o.Out, "\nattacker | tried | found (all that they said: %s)\n%s\n", r.log(""), strings.Join(lines, "\n"))
	return code
}

// prepare installs what is missing and starts the stack, if anybody attacks it.
func prepare(ctx context.Context, o Options, chosen []attacker) (*ground, error) {
	r := &ground{Options: o}
	if err := os.MkdirAll(r.log(""), 0o755); err != nil {
		return r, fmt.Errorf("make a folder for what attackers say: %w", err)
	}
	l := local.Options{Dir: o.Dir, Log: func(line string) { r.say("%s", line) }}
	running := false
	for _, a := range chosen {
		running = running || a.program != ""
		if _, err := exec.LookPath(a.program); a.program == "" || err == nil {
			continue
		}
		if err := local.Install(ctx, l, a.debian); err != nil {
			return r, err
		}
	}
	if !running {
		return r, nil
	}
	return r, r.start(ctx)
}

func (r *ground) start(ctx context.Context) (err error) {
	// thousands of passwords are tried: cheap ones, and no limit that would keep attackers from what is behind it; who says to come from
	// elsewhere is believed
	const much = `{"requests_per_minute":10000000,"emails_per_period":10000000,"people":100000}`
	r.Stack, err = stack.Start(ctx, stack.Options{Dir: r.Dir, Root: r.Root, Seed: 1, TimeScale: 20, Say: r.say, Services: local.Options{Fresh: true, Private: true},
		Env: map[string]string{"LOG_LEVEL": "info", "BCRYPT_COST": "4", "PLAN_LIMITS": `{"basic":` + much + `,"pro":` + much + `,"enterprise":` + much + `}`,
			"TRUSTED_PROXIES": "127.0.0.0/8", "SIGNUPS_PER_HOUR": "10000000", "SIGNUPS_PER_HOUR_PER_IP": "10000000"}})
	if err != nil {
		return err
	}
	const address = "ada@gmail.example"
	if _, err := r.Sim.AddGenerated(address, google.Generate{Messages: 2_000, Senders: 60, Seed: 1, Now: time.Now()}); err != nil {
		return fmt.Errorf("make a mailbox: %w", err)
	}
	r.api = customer.Client{Base: r.API, Email: "ada@example.com"}
	if err := r.api.SignUp(ctx, r.Sink, password); err != nil {
		return err
	}
	if said, err := r.Command(ctx, "api", "ops", "grant", r.api.ID, "enterprise", "--reason", "an attack", "--operator", "attack").CombinedOutput(); err != nil {
		return fmt.Errorf("grant a plan: %w: %s", err, said)
	}
	if err := r.api.Connect(ctx, address); err != nil {
		return err
	}
	return r.belongings(ctx)
}

// stayIn signs in again where what was attacked before has ended the token.
func (r *ground) stayIn(ctx context.Context) error {
	if r.api.Do(ctx, "GET", "/api/v1/auth/me", nil, nil) != nil {
		var session struct {
			Token string `json:"access_token"`
		}
		if err := r.api.Do(ctx, "POST", "/api/v1/auth/login", map[string]string{"email": r.api.Email, "password": password}, &session); err != nil {
			return fmt.Errorf("sign in again: %w", err)
		}
		r.api.Token = session.Token
	}
	r.ids["token"] = r.api.Token
	return nil
}

// belongings gives the customer one of everything that has an id.
func (r *ground) belongings(ctx context.Context) error {
	type made struct {
		ID string `json:"id"`
	}
	var boxes struct{ Items []made }
	var key, invited made
	var me struct {
		ID string `json:"user_id"`
	}
	var exported made
	analyzed, e1 := r.api.Run(ctx, "/api/v1/gmail/analyze", struct{}{}, quietly)
	cleanup := map[string]any{"action": "mark_read", "criteria": map[string]any{"category": "social"}, "max_messages": 2_000}
	_, e3 := r.api.Run(ctx, "/api/v1/gmail/cleanup/execute", cleanup, quietly)
	_, e4 := r.api.Run(ctx, "/api/v1/gmail/cleanup/execute", cleanup, quietly) // of one the history has no second page
	previewed, e2 := r.api.Run(ctx, "/api/v1/gmail/cleanup/dry-run", map[string]any{"action": "archive", "criteria": map[string]any{"category": "promotions"}}, quietly)
	err := errors.Join(e1, e2, e3, e4,
		r.api.Do(ctx, "GET", "/api/v1/mailboxes", nil, &boxes),
		r.api.Do(ctx, "GET", "/api/v1/auth/me", nil, &me),
		r.api.Do(ctx, "POST", "/api/v1/api-keys", map[string]any{"name": "mine", "scopes": []string{"read"}, "password": password}, &key),
		r.api.Do(ctx, "POST", "/api/v1/account/export", map[string]any{"password": password}, &exported),
		r.api.Do(ctx, "POST", "/api/v1/people/invitations", map[string]any{"email": "bo@example.com", "role": "viewer", "password": password}, &invited))
	if err != nil || len(boxes.Items) == 0 {
		return fmt.Errorf("make something to attack: %w", err)
	}
	var plan struct {
		ID string `json:"cleanup_plan_id"`
	}
	if err := json.Unmarshal(previewed.Result, &plan); err != nil {
		return fmt.Errorf("read the preview: %w", err)
	}
	r.ids = map[string]string{"mbx": boxes.Items[0].ID, "job": analyzed.ID, "pln": plan.ID, "key": key.ID, "inv": invited.ID, "exp": exported.ID, "cus": r.api.ID, "usr": me.ID}
	return r.lists(ctx)
}

// lists finds what only an answer names: where lists go on, a sender, a kind of mail.
func (r *ground) lists(ctx context.Context) error {
	var senders struct{ Items []struct{ Address string } }
	var notices struct {
		Items []struct{ Kind, Always string }
	}
	err := errors.Join(r.api.Do(ctx, "GET", "/api/v1/mailboxes/"+r.ids["mbx"]+"/senders?limit=1", nil, &senders), r.api.Do(ctx, "GET", "/api/v1/auth/notifications", nil, &notices))
	if err != nil || len(senders.Items) == 0 {
		return fmt.Errorf("find a sender and a kind of mail: %w", err)
	}
	r.ids["sender"] = senders.Items[0].Address
	for _, n := range notices.Items {
		if n.Always == "" { // that can be turned off
			r.ids["notice"] = n.Kind
		}
	}
	for _, value := range given {
		path, is := strings.CutPrefix(strings.TrimSuffix(value, "}"), "{cursor:")
		if !is {
			continue
		}
		var list struct {
			Next string `json:"next_cursor"`
		}
		if err := r.api.Do(ctx, "GET", r.filled(path), nil, &list); err != nil {
			return fmt.Errorf("find where a list goes on: %w", err)
		}
		if list.Next != "" {
			r.ids[r.filled("cursor:"+path)] = url.QueryEscape(list.Next)
		}
	}
	return nil
}

func quietly(customer.Job) {}

func (r *ground) say(format string, args ...any) { fmt.Fprintf(r.Out, "  "+format+"\n", args...) }

// log is the file in which what somebody says is kept; of nobody the folder.
func (r *ground) log(name string) string { return filepath.Join(r.Dir, "attack", name) }

// run runs a program, keeps what it says, and returns that with its exit code.
func (r *ground) run(ctx context.Context, log, program string, args ...string) (said string, code int, err error) {
	file, err := r.file(log)
	if err != nil {
		return "", 0, err
	}
	defer file.Close()
	return r.keep(ctx, file, file, program, args...)
}

// answer is run of which only the answer counts, not what is said beside it, such as what is downloaded first: that is kept in a file of its own.
func (r *ground) answer(ctx context.Context, log, program string, args ...string) (said string, code int, err error) {
	file, err := r.file(log)
	if err != nil {
		return "", 0, err
	}
	defer file.Close()
	beside, err := r.file(log + ".err")
	if err != nil {
		return "", 0, err
	}
	defer beside.Close()
	said, code, err = r.keep(ctx, file, beside, program, args...)
	if code != 0 || err != nil {
		complaint, e := os.ReadFile(beside.Name())
		said, err = said+string(complaint), errors.Join(err, e)
	}
	return said, code, err
}

// file is where what somebody says is kept.
func (r *ground) file(log string) (*os.File, error) {
	file, err := os.OpenFile(r.log(log), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("keep what is said: %w", err)
	}
	return file, nil
}

func (r *ground) keep(ctx context.Context, file, beside *os.File, program string, args ...string) (said string, code int, err error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = r.Root, file, beside // not a pipe: node leaves what is in one when it ends
	err = cmd.Run()
	if e := (*exec.ExitError)(nil); errors.As(err, &e) && e.ExitCode() >= 0 {
		code, err = e.ExitCode(), nil
	}
	raw, e := os.ReadFile(file.Name())
	err = errors.Join(err, e)
	if err != nil {
		err = fmt.Errorf("run %s: %w", program, err)
	}
	return string(raw), code, err
}
