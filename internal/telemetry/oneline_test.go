package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// AUD-4: whatever users write, wherever it is logged, an event is one line that reads as what was logged, without a control character.
func TestALineIsOneLineWhateverUsersWrite(t *testing.T) {
	t.Parallel()
	for _, hostile := range []string{"a\nb", "a\r\nlevel=ERROR msg=forged", "\x1b[2J\x1b]0;title\a", `"},{"level":"ERROR","msg":"forged`, "a\u2028b\u2029c\u0085d", "\x00\x7f", "\\u000a", "\u202egnp.exe", "\xff\xfe", `\`, "' --"} {
		for _, format := range []string{"json", "text"} {
			var out bytes.Buffer
			l := NewLogger(&out, Options{Process: "api", Format: format})
			l.With("with", hostile).WithGroup("g").Info(hostile, "value", hostile, "error", errors.New(hostile), "any", map[string]string{"k": hostile}, slog.Group("in", "v", hostile))
			line, rest, _ := strings.Cut(out.String(), "\n")
			if rest != "" || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' }) {
				t.Errorf("%s, %q: %q", format, hostile, out.String())
			}
			var fields map[string]any
			if format == "json" {
				if err := json.Unmarshal([]byte(line), &fields); err != nil || fields["msg"] != strings.ToValidUTF8(hostile, "\ufffd\ufffd") && fields["msg"] != hostile {
					t.Errorf("%q came back as %q, %v", hostile, fields["msg"], err)
				}
			}
		}
	}
}
