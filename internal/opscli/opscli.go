// Package opscli is the operators' commands: words in, one use-case call, lines out.
package opscli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"mailsweep/internal/ops"
	"mailsweep/internal/sweep"
)

// Usage is what help prints.
const Usage = `api ops jobs [--view open|queued|running|waiting|stuck|failed] [--kind KIND] [--customer cus_…] [--before job_…]
api ops rerun|cancel job_…                                             --reason TEXT
api ops halt|pause all | kind KIND | customer cus_… | build BUILD      --reason TEXT
api ops lift|resume all | kind KIND | customer cus_… | build BUILD     --reason TEXT
api ops halts
api ops undo [--build BUILD] [--customer cus_…] [--from TIME] [--to TIME]            shows what it would do
api ops undo … --confirm N --reason TEXT                               N: the number of runs that it showed
api ops show cus_…
api ops grant cus_… PLAN [--to TIME]                                   --reason TEXT   beside what is bought: the better counts; free takes a grant away
api ops trial cus_… --days N                                           --reason TEXT   gives N days more of it
api ops reset-usage cus_… --period 2026-11                             --reason TEXT   forgives what was used of that month
api ops invite ADDRESS [--days N]                                      --reason TEXT   prints a link to sign up by, for 14 days or N
api ops suspend|reactivate cus_…                                       --reason TEXT
api ops restore cus_…                                                  --reason TEXT   takes an account's deletion back before its purge
api ops why cus_… MESSAGE
api ops log
Who acts is --operator NAME, else $SUDO_USER, else $USER. halt stops what runs, pause only starts nothing; lift ends a halt, resume a pause.
`

// Command is one call of an operator's command.
type Command struct {
	Ops *ops.Service
	Out io.Writer

	verb                 string
	words                []string
	operator, reason     string
	view, kind, customer string
	before, build        string
	period               string
	from, to             string
	confirm, days        int
}

// Parse reads the words of a command; flags may stand anywhere. fallback is who acts when no flag says it. What cannot be read is Invalid.
func Parse(args []string, fallback string) (*Command, error) {
	c := &Command{}
	f := flag.NewFlagSet("ops", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	for name, to := range map[string]*string{"operator": &c.operator, "reason": &c.reason, "kind": &c.kind, "customer": &c.customer,
		"before": &c.before, "build": &c.build, "period": &c.period, "from": &c.from, "to": &c.to} {
		f.StringVar(to, name, "", "")
	}
	f.StringVar(&c.view, "view", "open", "")
	f.IntVar(&c.confirm, "confirm", -1, "")
	f.IntVar(&c.days, "days", 0, "")
	for len(args) > 0 {
		if err := f.Parse(args); err != nil {
			return nil, sweep.Errorf(sweep.Invalid, "%s", err)
		}
		if args = f.Args(); len(args) > 0 {
			c.words, args = append(c.words, args[0]), args[1:]
		}
	}
	if len(c.words) == 0 {
		return nil, sweep.Errorf(sweep.Invalid, "say what to do")
	}
	c.verb, c.words = c.words[0], c.words[1:]
	if c.operator == "" {
		c.operator = fallback
	}
	if verbs()[c.verb] == nil {
		return nil, sweep.Errorf(sweep.Invalid, "there is no command %q", c.verb)
	}
	return c, nil
}

func verbs() map[string]func(*Command, context.Context) error {
	return map[string]func(*Command, context.Context) error{
		"jobs": (*Command).jobs, "rerun": (*Command).onJob, "cancel": (*Command).onJob, "halt": (*Command).halt, "pause": (*Command).halt,
		"lift": (*Command).lift, "resume": (*Command).lift, "halts": (*Command).halts, "undo": (*Command).undo,
		"show": (*Command).show, "invite": (*Command).invite, "grant": (*Command).grant, "trial": (*Command).trial, "reset-usage": (*Command).resetUsage, "suspend": (*Command).suspend, "reactivate": (*Command).suspend, "restore": (*Command).restore, "why": (*Command).why, "log": (*Command).log,
	}
}

// Run does it.
func (c *Command) Run(ctx context.Context) error { return verbs()[c.verb](c, ctx) }

func (c *Command) who() ops.Operator { return ops.Operator{Name: c.operator} }

// word is the n-th word behind the verb, which names what.
func (c *Command) word(n int, what string) (string, error) {
	if n >= len(c.words) {
		return "", sweep.Errorf(sweep.Invalid, "%s what? Name %s", c.verb, what)
	}
	return c.words[n], nil
}

func (c *Command) say(format string, args ...any) { fmt.Fprintf(c.Out, format+"\n", args...) }

func (c *Command) onJob(ctx context.Context) error {
	shown, err := c.word(0, "a job, as job_…")
	if err != nil {
		return err
	}
	id, err := sweep.JobID.Parse(shown)
	if err != nil {
		return err
	}
	job, err := c.Ops.Job(ctx, id)
	if err != nil {
		return err
	}
	act := c.Ops.Rerun
	if c.verb == "cancel" {
		act = c.Ops.CancelJob
	}
	if err := act(ctx, c.who(), job.Customer, id, c.reason); err != nil {
		return err
	}
	c.say("%s: %s", c.verb, shown)
	return nil
}

// stop reads what a halt, a pause or the end of one is about.
func (c *Command) stop() (ops.Stop, error) {
	scope, err := c.word(0, "all, a kind, a customer or a build")
	st := ops.Stop{Scope: scope, Pause: c.verb == "pause" || c.verb == "resume"}
	if err != nil || scope == "all" {
		return st, err
	}
	st.Value, err = c.word(1, "the "+scope)
	return st, err
}

func (c *Command) halt(ctx context.Context) error {
	st, err := c.stop()
	if err != nil {
		return err
	}
	if _, err := c.Ops.Halt(ctx, c.who(), st, c.reason); err != nil {
		return err
	}
	c.say("%s %s: in force", c.verb, strings.TrimSpace(st.Scope+" "+st.Value))
	return nil
}

func (c *Command) lift(ctx context.Context) error {
	st, err := c.stop()
	if err != nil {
		return err
	}
	n, err := c.Ops.LiftAll(ctx, c.who(), st, c.reason)
	if err != nil {
		return err
	}
	c.say("%s %s: %d lifted", c.verb, strings.TrimSpace(st.Scope+" "+st.Value), n)
	return nil
}

func (c *Command) undo(ctx context.Context) error {
	f, err := c.runs()
	if err != nil {
		return err
	}
	if c.confirm >= 0 {
		return c.undoNow(ctx, f)
	}
	p, err := c.Ops.PreviewUndo(ctx, f)
	if err != nil {
		return err
	}
	c.say("%d runs would be undone: %d messages of %d customers", len(p.Ready), p.Messages, p.Customers)
	for _, state := range slices.Sorted(maps.Keys(p.Others)) {
		c.say("%d runs: %s", p.Others[state], state)
	}
	if len(p.Ready) > 0 {
		c.say("to do it, the same with --confirm %d --reason TEXT", len(p.Ready))
	}
	return nil
}

func (c *Command) undoNow(ctx context.Context, f ops.RunFilter) error {
	u, err := c.Ops.UndoRuns(ctx, c.who(), f, c.confirm, c.reason)
	if err != nil {
		return err
	}
	c.say("%d undo jobs queued, %d left", u.Sent, u.Left)
	for _, code := range slices.Sorted(maps.Keys(u.Refused)) {
		c.say("%d refused: %s", u.Refused[code], code)
	}
	return nil
}

// runs reads which runs an undo is about.
func (c *Command) runs() (f ops.RunFilter, err error) {
	f.Build = c.build
	if c.customer != "" {
		if f.Customer, err = sweep.CustomerID.Parse(c.customer); err != nil {
			return f, err
		}
	}
	for text, to := range map[*string]*time.Time{&c.from: &f.From, &c.to: &f.To} {
		if *text == "" {
			continue
		}
		if *to, err = time.Parse(time.RFC3339, *text); err != nil {
			return f, sweep.Errorf(sweep.Invalid, "a time is written as 2026-11-02T15:04:05Z")
		}
	}
	return f, nil
}
