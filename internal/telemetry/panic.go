package telemetry

import (
	"fmt"
	"runtime"
)

// Panicked names what somebody panicked with, by its type: a text may quote what was worked on. The runtime's own texts quote nothing and are
// given.
func Panicked(cause any) string {
	if e, itsOwn := cause.(runtime.Error); itsOwn {
		return e.Error()
	}
	return fmt.Sprintf("a %T", cause)
}
