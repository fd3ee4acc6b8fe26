package opscli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"mailsweep/internal/ops"
	"mailsweep/internal/sweep"
)

// table writes rows in columns.
func (c *Command) table(header string, rows func(line func(columns ...any))) {
	w := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.ReplaceAll(header, " ", "\t"))
	rows(func(columns ...any) {
		for _, v := range columns {
			fmt.Fprintf(w, "%v\t", v)
		}
		fmt.Fprintln(w)
	})
	w.Flush() //nolint:errcheck // nobody is left to hear of a closed pipe
}

func (c *Command) jobs(ctx context.Context) error {
	f := ops.Filter{View: c.view, Kind: sweep.JobKind(c.kind)}
	var err error
	if c.customer != "" {
		if f.Customer, err = sweep.CustomerID.Parse(c.customer); err != nil {
			return err
		}
	}
	if c.before != "" {
		if f.Before, err = sweep.JobID.Parse(c.before); err != nil {
			return err
		}
	}
	board, err := c.Ops.Board(ctx)
	if err != nil {
		return err
	}
	jobs, next, err := c.Ops.Jobs(ctx, f)
	if err != nil {
		return err
	}
	for _, h := range board.Halts {
		c.say("STOPPED: %s %s by %s since %s: %s", h.Scope, h.Value, h.By, h.At.Format(time.RFC3339), h.Reason)
	}
	c.table("KIND PLAN QUEUED OLDEST RUNNING WAITING PAUSED", func(line func(...any)) {
		for _, d := range board.Depths {
			line(d.Kind, d.Plan, d.Queued, d.Oldest.Round(time.Second), d.Running, d.Waiting, d.Paused)
		}
	})
	c.say("")
	c.table("JOB CUSTOMER KIND STATE DONE REASON", func(line func(...any)) {
		for _, j := range jobs {
			line(sweep.JobID.Show(j.ID), sweep.CustomerID.Show(j.Customer), j.Kind, j.State, fmt.Sprintf("%d/%d", j.Done, j.Total), strings.TrimSpace(strings.Join([]string{j.Stuck, string(j.Code), j.Trouble}, " ")))
		}
	})
	if !next.IsZero() {
		c.say("more: --before %s", sweep.JobID.Show(next))
	}
	return nil
}

func (c *Command) halts(ctx context.Context) error {
	halts, err := c.Ops.Halts(ctx)
	if err != nil {
		return err
	}
	c.table("WHAT SCOPE VALUE BY SINCE LIFTED REASON", func(line func(...any)) {
		for _, h := range halts {
			what, lifted := "halt", "no"
			if h.Pause {
				what = "pause"
			}
			if h.LiftedAt != nil {
				lifted = h.LiftedAt.UTC().Format(time.RFC3339) + " by " + h.LiftedBy
			}
			line(what, h.Scope, h.Value, h.By, h.At.Format(time.RFC3339), lifted, h.Reason)
		}
	})
	return nil
}

func (c *Command) why(ctx context.Context) error {
	customer, err := c.word(0, "a customer, as cus_…")
	if err != nil {
		return err
	}
	message, err := c.word(1, "a message, by Gmail's id")
	if err != nil {
		return err
	}
	cus, err := sweep.CustomerID.Parse(customer)
	if err != nil {
		return err
	}
	id, err := sweep.ParseMessageID(message)
	if err != nil {
		return err
	}
	why, err := c.Ops.Why(ctx, c.who(), cus, id)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(c.Out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(why)
}

func (c *Command) log(ctx context.Context) error {
	entries, err := c.Ops.Log(ctx, 0, 50)
	if err != nil {
		return err
	}
	c.table("NO WHEN WHO ACT ON WHY", func(line func(...any)) {
		for _, e := range entries {
			line(e.Seq, e.At.UTC().Format(time.RFC3339), e.Operator, e.Act, e.Object, e.Reason)
		}
	})
	return nil
}
