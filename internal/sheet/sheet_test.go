package sheet_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sheet"
)

// GDP-1
func TestACellIsShownAndNotComputed(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "Ada": "Ada", "a=b": "a=b", "=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1", "\r=1": "'\r=1", "\n=1": "'\n=1",
		"＝1": "'＝1", "＋1": "'＋1", "－1": "'－1", "＠A": "'＠A", "'": "'", "'a": "'a", "'=1": "''=1", "''=1": "'''=1", "a\r\nb": "a\nb", "\r\r\n=": "'\n=",
		`=HYPERLINK("http://x","y")`: `'=HYPERLINK("http://x","y")`, "-2+3+cmd|' /C calc'!A0": "'-2+3+cmd|' /C calc'!A0",
	} {
		require.Equal(t, want, sheet.Safe(in), "%q", in)
		require.Equal(t, strings.ReplaceAll(strings.ReplaceAll(in, "\r", ""), "\n", ""), strings.ReplaceAll(strings.ReplaceAll(sheet.Unsafe(want), "\r", ""), "\n", ""))
	}
}

func TestARowIsWrittenByKind(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := sheet.NewWriter(&b)
	require.NoError(t, w.Write("id", nil, -5, int64(-6), uint64(math.MaxUint64), -1.5, true, time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600)), `a "b",;`, []string{"x"}))
	require.NoError(t, w.Write())
	require.NoError(t, w.Flush())
	require.Equal(t, `"id","","-5","-6","18446744073709551615","-1.5","true","2026-01-02T02:04:05Z","a ""b"",;","[x]"`+"\r\n\r\n", b.String())
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestAFailureIsTold(t *testing.T) {
	t.Parallel()
	w := sheet.NewWriter(full{})
	require.NoError(t, w.Write("held back"))
	require.ErrorContains(t, w.Flush(), "full")
	require.ErrorContains(t, w.Write("more"), "full")
}

// starts is what no cell may begin with, written here once more.
var starts = regexp.MustCompile("^[=+@\\-\t\r\n＝＋－＠]")

// GDP-1: whatever the cells are, others read the same back, and none of them begins a formula.
func FuzzRowsComeBackAndComputeNothing(f *testing.F) {
	for _, seed := range [][2]string{{"", ""}, {"=1", "a,b"}, {`"`, "\r\n"}, {"'=", "''"}, {"\r\r\n", "\xff\x00"}, {"-1\n", ";"}, {"＝", "\ufeff=1"}} {
		f.Add(seed[0], seed[1])
	}
	lines := regexp.MustCompile(`\r+\n`)
	f.Fuzz(func(t *testing.T, a, b string) {
		var out bytes.Buffer
		w := sheet.NewWriter(&out)
		for _, row := range [][]any{{a, b}, {b, a}} {
			if err := w.Write(row...); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&out).ReadAll()
		if err != nil {
			t.Fatalf("%q, %q: %v", a, b, err)
		}
		for i, row := range [][]string{{a, b}, {b, a}} {
			for j, cell := range row {
				got := rows[i][j]
				if starts.MatchString(got) {
					t.Fatalf("%q begins a formula", got)
				}
				if sheet.Unsafe(got) != lines.ReplaceAllString(cell, "\n") {
					t.Fatalf("%q came back as %q", cell, got)
				}
			}
		}
	})
}
