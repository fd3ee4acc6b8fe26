package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"mailsweep/internal/sweep"
)

// report prints what happened in a person's words and fails when what must hold does not.
func (w *walk) report() error {
	var a sweep.Analysis
	var d sweep.DryRunResult
	var e sweep.ExecuteResult
	var u sweep.UndoResult
	var used, left sweep.UsageView
	for raw, v := range map[*json.RawMessage]any{&w.got.Analysis: &a, &w.got.DryRun: &d, &w.got.Execute: &e, &w.got.Undo: &u, &w.got.UsageAfter: &used, &w.got.UsageAfterUndo: &left} {
		if err := json.Unmarshal(*raw, v); err != nil {
			return fmt.Errorf("read the API's answers: %w", err)
		}
	}
	w.mailbox(a)
	fmt.Println("\nThe cleanup")
	say("preview    %d matched, %d kept back%s, %d undetermined, %d to clean (%s)", d.Matched, d.Protected.Total, reasons(d.Protected.ByReason), d.Undetermined, d.ToClean, size(d.Bytes))
	say("execute    %d planned, %d cleaned, %d skipped%s, %d already gone; %d confirmed by Gmail's own history", e.Planned, e.Cleaned, total(e.Skipped.ByReason), reasons(e.Skipped.ByReason), e.AlreadyGone, e.Proof.Confirmed)
	say("usage      %d of %d used after the execute, %d after the undo", used.Used, used.Limit, left.Used)
	say("undo       %d restored, %d changed since, %d gone; possible until %s", u.Restored, u.ChangedSince, u.AlreadyGone, e.UndoUntil.Format("2 January 2006"))
	return w.verdict(a, e, left)
}

func (w *walk) mailbox(a sweep.Analysis) {
	fmt.Println("\nThe mailbox")
	say("messages   %d (%d unread) in %d threads, %s%s", a.Messages, a.Unread, a.Threads, approx(a.Bytes.Exact), size(a.Bytes.Estimate))
	for _, c := range sweep.Categories() {
		if b := a.ByCategory[c]; b.Messages > 0 {
			say("           %6d %-11s %5d unread", b.Messages, c, b.Unread)
		}
	}
	say("senders    %d found, %.1f %% of the messages attributed; the biggest:", a.SendersTotal, a.AttributedPercent)
	for _, s := range a.Senders[:min(5, len(a.Senders))] {
		say("           %6d %s%s", s.Messages, s.Address, told(s.Exact))
	}
	say("health     %d of 100", a.Health.Score)
}

func told(exact bool) string {
	if exact {
		return ""
	}
	return "  (by search)"
}

func approx(exact bool) string {
	if exact {
		return ""
	}
	return "about "
}

// verdict compares with what the simulated mailbox itself counts.
func (w *walk) verdict(a sweep.Analysis, e sweep.ExecuteResult, left sweep.UsageView) error {
	before, after := w.got.Truth["before"], w.got.Truth["after_undo"]
	fmt.Println("\nChecked against the simulated mailbox itself")
	ok := true
	check := func(holds bool, format string, args ...any) {
		mark := "yes"
		if !holds {
			mark, ok = "NO ", false
		}
		say("%s  "+format, append([]any{mark}, args...)...)
	}
	listed := before.Messages - before.Labels["TRASH"] - before.Labels["SPAM"]
	check(a.Messages == listed, "every message listed: %d of %d", a.Messages, listed)
	check(e.Cleaned+total(e.Skipped.ByReason)+e.AlreadyGone <= e.Planned, "no message beyond the plan: %d planned, %d cleaned", e.Planned, e.Cleaned)
	check(e.Proof.Confirmed == e.Cleaned, "every change confirmed by history: %d", e.Proof.Confirmed)
	check(before.Digest == after.Digest, "after the undo every label of every message is as before (digest %.12s…)", after.Digest)
	check(left.Used == 0 && left.Reserved == 0, "the quota is back: %d used, %d reserved", left.Used, left.Reserved)
	if !ok {
		return errors.New("the walk did not end as it must")
	}
	return nil
}

func total(m map[sweep.Reason]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

func reasons(m map[sweep.Reason]int) string {
	var list []sweep.Reason
	for r := range m {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b sweep.Reason) int { return m[b] - m[a] })
	s := ""
	for _, r := range list {
		if m[r] > 0 {
			s += fmt.Sprintf(", %s %d", r, m[r])
		}
	}
	if s == "" {
		return ""
	}
	return " (" + s[2:] + ")"
}

func size(b int64) string {
	switch {
	case b >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(b)/(1<<30))
	case b >= 1<<20:
		return fmt.Sprintf("%.0f MiB", float64(b)/(1<<20))
	}
	return fmt.Sprintf("%d KiB", b/(1<<10))
}
