// Package wire stands between a program and a server and strikes at a chosen message: before it is passed on, or after the server
// has answered it and before the program hears. It reads what passes and needs no seam in the program.
package wire

import (
	"fmt"
	"net"
	"sync"
)

// Moment is when a trap strikes, seen from the message that it waits for.
type Moment string

// The two moments: the server has not seen the message, or has done all that it asked and the program does not know.
const (
	Before Moment = "before"
	After  Moment = "after"
)

// Trap waits for one message and strikes once.
type Trap struct {
	Match  func(message string) bool // of a statement, a command or a request line
	Moment Moment
	Answer func(answer []byte) bool // nil: any; else an answer that it refuses is passed on and the trap goes on waiting
	Strike func()                   // ends the program; the message or its answer is dropped with the connection
}

// Dialect cuts what a program sends into messages and knows when an answer is whole.
type Dialect struct {
	cutter   func() cutter
	answered func(chunk []byte) bool
}

// cutter takes the first message off buf: its length, zero while it is not whole, and its text.
type cutter interface {
	cut(buf []byte) (n int, text string)
}

// Wire listens for one program and one server.
type Wire struct {
	Addr string

	dialect  Dialect
	upstream string
	listener net.Listener

	mu   sync.Mutex
	trap *Trap
}

// Listen passes connections on to upstream, host:port, until Close.
func Listen(upstream string, d Dialect) (*Wire, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	w := &Wire{Addr: l.Addr().String(), dialect: d, upstream: upstream, listener: l}
	go w.accept()
	return w, nil
}

// Close takes no more connections.
func (w *Wire) Close() error { return w.listener.Close() }

// Arm sets the trap in place of any other; nil takes it away.
func (w *Wire) Arm(t *Trap) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trap = t
}

func (w *Wire) accept() {
	for {
		c, err := w.listener.Accept()
		if err != nil {
			return
		}
		go w.link(c)
	}
}

// link is one connection. caught is the trap that has seen its message here and waits for the answer.
type link struct {
	*Wire
	program, server net.Conn

	mu     sync.Mutex
	caught *Trap
}

func (w *Wire) link(program net.Conn) {
	server, err := net.Dial("tcp", w.upstream)
	if err != nil {
		program.Close()
		return
	}
	l := &link{Wire: w, program: program, server: server}
	var both sync.WaitGroup
	both.Go(func() { defer l.close(); l.there() })
	both.Go(func() { defer l.close(); l.back() })
	both.Wait()
}

func (l *link) close() { l.program.Close(); l.server.Close() }

// there passes whole messages on.
func (l *link) there() {
	c := l.dialect.cutter()
	var buf []byte
	chunk := make([]byte, 64<<10)
	for {
		n, err := l.program.Read(chunk)
		buf = append(buf, chunk[:n]...)
		whole := 0
		for whole < len(buf) {
			n, text := c.cut(buf[whole:])
			if n == 0 {
				break
			}
			if t := l.takes(text); t != nil && t.Moment == Before {
				l.server.Write(buf[:whole]) //nolint:errcheck // both ends go away now
				t.Strike()
				return
			}
			whole += n
		}
		if _, failed := l.server.Write(buf[:whole]); failed != nil || err != nil {
			return
		}
		buf = append(buf[:0], buf[whole:]...)
	}
}

// takes says whether the trap waits for this message. One that strikes after is caught in this link.
func (l *link) takes(text string) *Trap {
	if text == "" {
		return nil
	}
	l.Wire.mu.Lock()
	defer l.Wire.mu.Unlock()
	t := l.trap
	if t == nil || !t.Match(text) {
		return nil
	}
	if t.Moment == Before {
		l.trap = nil
		return t
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.caught = t
	return t
}

// back passes answers on, but the one that a trap waits for.
func (l *link) back() {
	chunk := make([]byte, 64<<10)
	for {
		n, err := l.server.Read(chunk)
		if t := l.answered(chunk[:n]); t != nil {
			t.Strike()
			return
		}
		if _, failed := l.program.Write(chunk[:n]); failed != nil || err != nil {
			return
		}
	}
}

// answered gives the trap whose answer is whole, if it is still set: of several links one strikes.
func (l *link) answered(chunk []byte) *Trap {
	l.mu.Lock()
	t := l.caught
	if t == nil || !l.dialect.answered(chunk) {
		l.mu.Unlock()
		return nil
	}
	l.caught = nil
	l.mu.Unlock()
	if t.Answer != nil && !t.Answer(chunk) {
		return nil
	}
	l.Wire.mu.Lock()
	defer l.Wire.mu.Unlock()
	if l.trap != t {
		return nil
	}
	l.trap = nil
	return t
}
