package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"syscall"

	"mailsweep/internal/sweep"
)

// failure is an error whose text is only ours. What net and net/http say holds our addresses, those of our name servers and words
// that the stranger chose; errors.Is and errors.As still find it.
type failure struct {
	what  string
	cause error
}

func (f *failure) Error() string { return f.what }
func (f *failure) Unwrap() error { return f.cause }

// tell makes of what happened under way an error that may be logged. A refusal of the guard comes back as the bare refusal.
func tell(ctx context.Context, err error) error {
	var refused *sweep.Error
	if errors.As(err, &refused) {
		return refused
	}
	if ended := ctx.Err(); ended != nil { // else the text depends on who noticed first
		return fmt.Errorf("post to a stranger: %w", ended)
	}
	var timed net.Error
	if errors.As(err, &timed) && timed.Timeout() {
		return fmt.Errorf("post to a stranger: %w", context.DeadlineExceeded)
	}
	return fmt.Errorf("post to a stranger: %w", &failure{what: what(err), cause: err})
}

func what(err error) string {
	var (
		name  *net.DNSError
		cert  *tls.CertificateVerificationError
		errno syscall.Errno
	)
	switch {
	case errors.As(err, &name):
		return "the host's name cannot be looked up"
	case errors.As(err, &cert):
		return "the host's certificate does not hold"
	case errors.As(err, &errno):
		return errno.Error()
	default:
		return "the host does not answer as HTTP over TLS should"
	}
}
