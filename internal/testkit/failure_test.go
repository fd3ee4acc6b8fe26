package testkit_test

import (
	"fmt"
	"runtime"
	"testing"
)

// doomed records a failure instead of failing the test.
type doomed struct {
	testing.TB
	said string
}

func (d *doomed) Helper() {}

func (d *doomed) Fatalf(format string, args ...any) {
	d.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// failure is what the function said when it failed the test it was handed.
func failure(t *testing.T, f func(t testing.TB)) string {
	t.Helper()
	d := &doomed{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(d)
	}()
	<-done
	return d.said
}
