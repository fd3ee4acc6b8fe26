package telemetry

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestACollectorThatIsAwayIsALineAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := &complaints{log: slog.New(slog.NewTextHandler(&log, nil))}
		second := time.NewTicker(time.Second) // of the bubble's clock, which nobody waits for
		defer second.Stop()
		for range 3 * 60 {
			c.Handle(errors.New("connection refused: " + strings.Repeat("é", complaintBytes)))
			<-second.C
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 3 || !strings.Contains(lines[0], "unsaid=0") || !strings.Contains(lines[1], "unsaid=59") || !strings.Contains(lines[2], "unsaid=59") {
			t.Fatalf("got %q", lines)
		}
		if len(lines[0]) > complaintBytes+200 || !strings.Contains(lines[0], "connection refused") {
			t.Errorf("got %q", lines[0])
		}
	})
}
