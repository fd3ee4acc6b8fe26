package cleanup

import (
	"fmt"
	"runtime"
	"strings"

	"mailsweep/internal/telemetry"
)

// broken is a panic in the work on a job: the job's trouble, not its process's. What it says is for operators and holds no mail data.
type broken struct{ trouble string }

func (b *broken) Error() string { return b.trouble }

// safely turns a panic of f into an error. It stands around whatever a claim runs on a goroutine of its own: there a panic would end the
// process, and every other customer's claim with it.
func safely(f func() error) func() error {
	return func() (err error) {
		defer func() {
			if cause := recover(); cause != nil {
				err = &broken{trouble: fmt.Sprintf("panic in %s: %s", where(), telemetry.Panicked(cause))}
			}
		}()
		return f()
	}
}

// where is the innermost function of ours below the panic, with its line.
func where() string {
	pc := make([]uintptr, 40)
	frames := runtime.CallersFrames(pc[:runtime.Callers(1, pc)])
	panicked := false
	for {
		f, more := frames.Next()
		name, ours := strings.CutPrefix(f.Function, "mailsweep/internal/")
		if panicked && ours {
			return fmt.Sprintf("%s:%d", name, f.Line)
		}
		panicked = panicked || f.Function == "runtime.gopanic"
		if !more {
			return "unknown"
		}
	}
}
