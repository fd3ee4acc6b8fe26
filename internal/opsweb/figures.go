package opsweb

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mailsweep/internal/ops"
	"mailsweep/internal/sweep"
)

// figures shows how a month went: as a page, or as JSON or CSV to who asks with format or, for JSON, with Accept. Without a month it is the running one.
func (p *Pages) figures(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	month := sweep.PeriodAt(time.Now())
	if named := q.Get("month"); named != "" {
		var err error
		if month, err = sweep.ParsePeriod(named); err != nil {
			return err
		}
	}
	f, err := p.Ops.Figures(r.Context(), month)
	if err != nil {
		return err
	}
	accepts := r.Header.Get("Accept")
	switch format := choice(q, "format", "html"); {
	case format == "json", format == "html" && strings.Contains(accepts, "application/json") && !strings.Contains(accepts, "text/html"):
		return send(w, "application/json", func(to io.Writer) error { return json.NewEncoder(to).Encode(f) })
	case format == "csv":
		w.Header().Set("Content-Disposition", `attachment; filename="figures-`+f.Month+`.csv"`)
		return send(w, "text/csv; charset=utf-8", f.CSV)
	case format != "html":
		return sweep.Errorf(sweep.Invalid, "the format is html, json or csv")
	}
	p.show(w, r, "figures", "Figures of "+f.Month, struct {
		ops.Figures
		Before, After string // months; "" when it has not begun
		Definitions   []ops.Definition
	}{f, sweep.PeriodAt(month.Start.Add(-1)).Start.Format("2006-01"), next(month, f), ops.Definitions()})
	return nil
}

// next is the month after one that is over.
func next(month sweep.Period, f ops.Figures) string {
	if f.Until.Before(month.End) {
		return ""
	}
	return month.Next().Start.Format("2006-01")
}

// send writes an answer that is made whole first.
func send(w http.ResponseWriter, kind string, write func(io.Writer) error) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(b.Bytes()) // nobody is left to hear of a broken connection
	return nil
}

// dollars shows US cents.
func dollars(cents float64) string { return "$" + strconv.FormatFloat(cents/100, 'f', 2, 64) }

// tenths shows a mean or a percentage.
func tenths(n float64) string { return strconv.FormatFloat(n, 'f', 1, 64) }

// bytesOf shows a number of bytes in a unit that a person reads.
func bytesOf(n int64) string {
	units, size := []string{"B", "kB", "MB", "GB", "TB"}, float64(n)
	for len(units) > 1 && (size >= 1000 || size <= -1000) {
		units, size = units[1:], size/1000
	}
	return strconv.FormatFloat(size, 'f', 1, 64) + " " + units[0]
}
