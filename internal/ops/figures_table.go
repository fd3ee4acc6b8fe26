package ops

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// Line is a figure as tables show it, with the plan or day it is of; "" is all of them.
type Line struct{ Figure, Of, Value string }

func cents(n float64) string { return fmt.Sprintf("%.2f", n/100) }
func tenth(n float64) string { return strconv.FormatFloat(n, 'f', 1, 64) }
func share(s Share) []string {
	return []string{strconv.Itoa(s.Part), strconv.Itoa(s.Of), tenth(s.Percent())}
}
func whole[N int | int64](n N) string { return strconv.FormatInt(int64(n), 10) }

// Lines are the figures one by one, in a fixed order; money is in dollars, shares in percent.
func (f Figures) Lines() (lines []Line) {
	add := func(of string, pairs ...string) {
		for i := 0; i < len(pairs); i += 2 {
			lines = append(lines, Line{pairs[i], of, pairs[i+1]})
		}
	}
	paid, churn, refused := share(f.TrialToPaid), share(f.Churn), share(f.QuotaExceeded)
	add("", "sign-ups", whole(f.SignUps), "trials begun", whole(f.Trials), "trials ended", paid[1], "trials that paid", paid[0], "trial to paid, %", paid[2],
		"MRR, $", cents(float64(f.MRRCents)), "MRR before, $", cents(float64(f.MRRBeforeCents)), "paying", whole(f.Paying), "churned", churn[0], "churn, %", churn[2],
		"churned MRR, $", cents(float64(f.ChurnedCents)), "ARPU, $", cents(f.ARPU.Each()), "emails cleaned", whole(f.Emails.Sum), "customers who cleaned", whole(f.Emails.N),
		"emails per customer", tenth(f.Emails.Each()), "storage freed, bytes", whole(f.FreedBytes), "customers who asked for an execute", refused[1],
		"customers over quota", refused[0], "quota exceeded, %", refused[2], "Gmail units", whole(f.UnitsPerCustomer.Sum), "units per customer", tenth(f.UnitsPerCustomer.Each()))
	for _, p := range f.Plans {
		add(p.Plan, "customers", whole(p.Customers), "paying", whole(p.Paying), "price, $", cents(float64(p.PriceCents)), "MRR, $", cents(float64(p.MRRCents)),
			"emails cleaned", whole(p.Emails.Sum), "emails per customer", tenth(p.Emails.Each()), "storage freed, bytes", whole(p.FreedBytes),
			"quota exceeded, %", tenth(p.QuotaExceeded.Percent()), "Gmail units", whole(p.Units.Sum), "units per customer", tenth(p.Units.Each()),
			"units per customer, 95 %", whole(p.UnitsP95), "units per dollar", tenth(p.UnitsPerDollar.Each()))
	}
	for _, d := range f.Days {
		add(d.Day, "sign-ups", whole(d.SignUps), "trials begun", whole(d.Trials))
	}
	return lines
}

// Table writes the figures as an aligned table, with what they mean below.
func (f Figures) Table(w io.Writer) error {
	state := "it still runs"
	if f.Closed {
		state = "closed"
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%s, as of %s: %s\n\n", f.Month, f.Until.Format("2006-01-02 15:04 UTC"), state)
	last := "all"
	for _, l := range f.Lines() {
		of := l.Of
		if of == "" {
			of = "all"
		}
		if of != last {
			fmt.Fprintln(t)
		}
		last = of
		fmt.Fprintf(t, "%s\t%s\t%s\t\n", of, l.Figure, l.Value)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	fmt.Fprintln(w)
	for _, d := range Definitions() {
		fmt.Fprintf(w, "%s: %s.\n", d.Name, d.Means)
	}
	return nil
}

// CSV writes the figures as rows of month, plan or day, figure, value.
func (f Figures) CSV(w io.Writer) error {
	c := csv.NewWriter(w)
	rows := [][]string{{"month", "of", "figure", "value"}}
	for _, l := range f.Lines() {
		rows = append(rows, []string{f.Month, l.Of, l.Figure, l.Value})
	}
	if err := c.WriteAll(rows); err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	return nil
}
