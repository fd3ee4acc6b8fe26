package wire_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/faults/wire"
)

// server answers each line of a command with +OK, after it has told what it heard.
func server(t *testing.T) (addr string, heard chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	heard = make(chan string, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for r := bufio.NewReader(c); ; {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					if strings.HasPrefix(line, "SET") || strings.HasPrefix(line, "GET") {
						heard <- strings.TrimSpace(line)
						_, _ = io.WriteString(c, "+OK\r\n")
					}
				}
			}()
		}
	}()
	return l.Addr().String(), heard
}

// say sends a command of one word and gives the answer, empty if the connection broke.
func say(t *testing.T, addr, word string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = io.WriteString(c, "*1\r\n$3\r\n"+word+"\r\n")
	require.NoError(t, err)
	answer, _ := bufio.NewReader(c).ReadString('\n')
	return answer
}

func TestATrapStrikesOnceAtItsMessage(t *testing.T) {
	t.Parallel()
	for moment, effect := range map[wire.Moment]bool{wire.Before: false, wire.After: true} {
		t.Run(string(moment), func(t *testing.T) {
			t.Parallel()
			at, heard := server(t)
			w, err := wire.Listen(at, wire.Redis())
			require.NoError(t, err)
			t.Cleanup(func() { w.Close() })
			struck := make(chan struct{}, 2)
			w.Arm(&wire.Trap{Match: func(m string) bool { return m == "SET" }, Moment: moment, Strike: func() { struck <- struct{}{} }})
			require.Equal(t, "+OK\r\n", say(t, w.Addr, "GET"), "what it does not wait for passes")
			require.Equal(t, "GET", <-heard)
			require.Empty(t, say(t, w.Addr, "SET"), "the program hears nothing")
			<-struck
			if effect {
				require.Equal(t, "SET", <-heard)
			}
			require.Empty(t, heard)
			require.Equal(t, "+OK\r\n", say(t, w.Addr, "SET"), "it strikes once")
			require.Empty(t, struck)
		})
	}
}
