package google

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
)

// symbol is a Huffman code with the extra bits behind it, lowest bit first.
type symbol struct {
	bits uint32
	n    uint8
}

// fixed are the fixed codes of RFC 1951 3.2.6: of the symbols, of the match lengths with their extra bits, and of the distances.
var fixed = func() (f struct {
	code     [288]symbol
	length   [259]symbol
	distance [30]uint8 // five bits
}) {
	for s := range f.code {
		c, n := 0x30+s, 8
		switch {
		case s >= 280:
			c = 0xC0 + s - 280
		case s >= 256:
			c, n = s-256, 7
		case s >= 144:
			c, n = 0x190+s-144, 9
		}
		f.code[s] = symbol{bits.Reverse32(uint32(c)) >> (32 - n), uint8(n)}
	}
	for l := 3; l < 258; l++ {
		s, extra := 254+l, 0
		if l > 10 {
			extra = bits.Len(uint(l-3)) - 3
			s = 257 + 4*extra + (l-3)>>extra
		}
		c := f.code[s]
		f.length[l] = symbol{c.bits | uint32(l-3)&(1<<extra-1)<<c.n, c.n + uint8(extra)}
	}
	f.length[258] = f.code[285]
	for s := range f.distance {
		f.distance[s] = bits.Reverse8(uint8(s)) >> 3
	}
	return f
}()

// zipper appends codes to a stream of bytes.
type zipper struct {
	out  []byte
	acc  uint64
	held uint8
}

func (z *zipper) put(c symbol) {
	z.acc |= uint64(c.bits) << z.held
	if z.held += c.n; z.held >= 32 {
		z.out = binary.LittleEndian.AppendUint32(z.out, uint32(z.acc))
		z.acc >>= 32
		z.held -= 32
	}
}

// match says that the next n bytes are those that stand d bytes before.
func (z *zipper) match(n, d int) {
	c := fixed.length[n]
	d--
	s, extra := d, 0
	if d > 3 {
		extra = bits.Len(uint(d)) - 2
		s = 2*extra + d>>extra
	}
	c.bits |= (uint32(fixed.distance[s]) | uint32(d)&(1<<extra-1)<<5) << c.n
	c.n += uint8(5 + extra)
	z.put(c)
}

// zip appends a body, compressed for gzip in one block with the fixed codes. The standard library's fastest level takes more than twice as long, which
// was most of what a page of ids cost.
func zip(out, body []byte) []byte {
	z := &zipper{out: append(out, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff)}
	z.put(symbol{0b011, 3}) // the last block, fixed codes
	z.deflate(body)
	z.put(fixed.code[256])
	for z.held += -z.held & 7; z.held > 0; z.held -= 8 {
		z.out = append(z.out, byte(z.acc))
		z.acc >>= 8
	}
	z.out = binary.LittleEndian.AppendUint32(z.out, crc32.ChecksumIEEE(body))
	return binary.LittleEndian.AppendUint32(z.out, uint32(len(body)))
}

// deflate tells four and more bytes that were there before by their place, the others as they are.
func (z *zipper) deflate(body []byte) {
	var last [1 << 12]int32 // by hash: where four bytes were, + 1
	from, i := 0, 0         // what stands from there to i has not been told
	for i+4 <= len(body) {
		four := binary.LittleEndian.Uint32(body[i:])
		hash := four * 0x9E3779B1 >> 20
		at := int(last[hash]) - 1
		last[hash] = int32(i + 1)
		if at < 0 || i-at > 32768 || binary.LittleEndian.Uint32(body[at:]) != four {
			i++
			continue
		}
		n := common(body[at:], body[i:min(i+258, len(body))])
		z.literals(body[from:i])
		z.match(n, i-at)
		i += n
		from = i
	}
	z.literals(body[from:])
}

// literals tells bytes as they are.
func (z *zipper) literals(all []byte) {
	acc, held := z.acc, z.held
	for _, b := range all {
		c := fixed.code[b]
		acc |= uint64(c.bits) << (held & 63)
		if held += c.n; held >= 32 {
			z.out = binary.LittleEndian.AppendUint32(z.out, uint32(acc))
			acc >>= 32
			held -= 32
		}
	}
	z.acc, z.held = acc, held
}

// common is how far x and y, which begins behind it, are the same.
func common(x, y []byte) int {
	n := 0
	for ; n+8 <= len(y); n += 8 {
		if d := binary.LittleEndian.Uint64(x[n:]) ^ binary.LittleEndian.Uint64(y[n:]); d != 0 {
			return n + bits.TrailingZeros64(d)/8
		}
	}
	for n < len(y) && x[n] == y[n] {
		n++
	}
	return n
}
