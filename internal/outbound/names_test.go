package outbound

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// names is a name server: the n-th look-up of a name gets the n-th of its answers, the last one for ever.
type names struct {
	mu      sync.Mutex
	answers map[string][][]netip.Addr
	unknown string // the address of all other names
}

func (n *names) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		theirs, our := net.Pipe() // no packets: the resolver speaks DNS over TCP
		go n.serve(our)
		return theirs, nil
	}}
}

func (n *names) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(query); err != nil || len(m.Questions) != 1 {
			return
		}
		reply, err := n.reply(m)
		if err != nil {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

func (n *names) reply(m dnsmessage.Message) ([]byte, error) {
	q := m.Questions[0]
	m.Response, m.Additionals = true, nil
	for _, a := range n.next(strings.TrimSuffix(q.Name.String(), "."), q.Type) {
		h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: dnsmessage.ClassINET}
		if a.Is4() {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
		} else {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	return m.Pack()
}

// next is the turn of a name's answers. A question for A ends a turn; one for AAAA looks at what stands.
func (n *names) next(name string, kind dnsmessage.Type) (list []netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	turns := n.answers[strings.ToLower(name)]
	if len(turns) == 0 {
		turns = [][]netip.Addr{{netip.MustParseAddr(n.unknown)}}
	}
	for _, a := range turns[0] {
		if a.Is4() == (kind == dnsmessage.TypeA) {
			list = append(list, a)
		}
	}
	if kind == dnsmessage.TypeA && len(turns) > 1 {
		n.answers[strings.ToLower(name)] = turns[1:]
	}
	return list
}
