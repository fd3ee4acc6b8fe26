package google

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"mailsweep/internal/sim/google/box"
)

// hexID is a message or thread id, written as Gmail shows it.
type hexID uint64

// encoder appends a value of one type as JSON, with the fields that one mask wants.
type encoder func(b []byte, v reflect.Value) []byte

// encoders keeps what was compiled, by type and fields parameter: clients ask with few masks, each of them very often.
var encoders struct {
	byKey sync.Map
	kept  atomic.Int32
}

type encoderKey struct {
	t      reflect.Type
	fields string
}

// maxEncoders bounds what strange masks can make us keep.
const maxEncoders = 1000

// encode appends an answer with the wanted fields, compact. A mask that cannot be read or names an unknown field is a refusal.
func encode(b []byte, v any, fields string) ([]byte, error) {
	t := reflect.TypeOf(v)
	key := encoderKey{t, fields}
	known, ok := encoders.byKey.Load(key)
	if !ok {
		m, err := readMask(fields, t)
		if err != nil {
			return b, err
		}
		known = compile(t, m)
		if encoders.kept.Add(1) <= maxEncoders {
			encoders.byKey.Store(key, known)
		}
	}
	return append(known.(encoder)(b, reflect.ValueOf(v)), '\n'), nil
}

// compile makes the encoder of a type; an empty mask wants all.
func compile(t reflect.Type, m mask) encoder {
	if t == reflect.TypeFor[hexID]() {
		return func(b []byte, v reflect.Value) []byte { return append(appendHex(append(b, '"'), v.Uint()), '"') }
	}
	switch t.Kind() {
	case reflect.Pointer:
		of := compile(t.Elem(), m)
		return func(b []byte, v reflect.Value) []byte { return of(b, v.Elem()) }
	case reflect.Slice:
		return compileSlice(t, m)
	case reflect.Struct:
		return compileStruct(t, m)
	case reflect.String:
		return func(b []byte, v reflect.Value) []byte { return appendString(b, v.String()) }
	case reflect.Int:
		return func(b []byte, v reflect.Value) []byte { return strconv.AppendInt(b, v.Int(), 10) }
	}
	return func(b []byte, v reflect.Value) []byte { return append(b, marshal(v.Interface())...) }
}

func compileSlice(t reflect.Type, m mask) encoder {
	if t == reflect.TypeFor[[]listedMessage]() {
		return compileListed(m)
	}
	if t == reflect.TypeFor[[]box.Record]() {
		return compileRecords(m)
	}
	elem := sync.OnceValue(func() encoder { return compile(t.Elem(), m) }) // parts have parts: not before there are some
	return func(b []byte, v reflect.Value) []byte {
		b = append(b, '[')
		if v.Len() == 0 {
			return append(b, ']')
		}
		of := elem()
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			b = of(b, v.Index(i))
		}
		return append(b, ']')
	}
}

// compileListed is for what is asked for most, and has the most elements.
func compileListed(m mask) encoder {
	_, id := m.in("id")
	_, thread := m.in("threadId")
	return func(b []byte, v reflect.Value) []byte {
		b = append(b, '[')
		for i, one := range v.Interface().([]listedMessage) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, '{')
			if id {
				b = append(appendHex(append(b, `"id":"`...), uint64(one.ID)), '"')
			}
			if id && thread {
				b = append(b, ',')
			}
			if thread {
				b = append(appendHex(append(b, `"threadId":"`...), uint64(one.ThreadID)), '"')
			}
			b = append(b, '}')
		}
		return append(b, ']')
	}
}

// field is one wanted field of a struct.
type field struct {
	index     int
	name      string // quoted, with its colon
	omitEmpty bool
	encode    encoder
}

func compileStruct(t reflect.Type, m mask) encoder {
	var fields []field
	for i := range t.NumField() {
		name, option, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if below, wanted := m.in(name); wanted {
			fields = append(fields, field{i, strconv.Quote(name) + ":", option == "omitempty", compile(t.Field(i).Type, below)})
		}
	}
	return func(b []byte, v reflect.Value) []byte {
		b = append(b, '{')
		first := true
		for _, f := range fields {
			value := v.Field(f.index)
			if f.omitEmpty && isEmpty(value) {
				continue
			}
			if !first {
				b = append(b, ',')
			}
			first = false
			b = f.encode(append(b, f.name...), value)
		}
		return append(b, '}')
	}
}

// isEmpty is what omitempty leaves out.
func isEmpty(v reflect.Value) bool {
	if v.Kind() == reflect.Slice || v.Kind() == reflect.Map {
		return v.Len() == 0
	}
	return v.IsZero()
}

// appendHex writes a number in lower-case hex without leading zeros.
func appendHex(b []byte, n uint64) []byte {
	const digits = "0123456789abcdef"
	var all [16]byte
	for i := 15; i >= 0; i-- {
		all[i] = digits[n&15]
		n >>= 4
	}
	zeros := 0
	for zeros < 15 && all[zeros] == '0' {
		zeros++
	}
	return append(b, all[zeros:]...)
}

// appendString writes a JSON string; the usual one needs no escapes.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c >= utf8.RuneSelf, c == '"', c == '\\', c == '<', c == '>', c == '&':
			return append(b, marshal(s)...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// marshal is for what has no encoder of its own.
func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return []byte("null")
	}
	return b
}

// indent lays JSON out as prettyPrint does.
func indent(b []byte) []byte {
	var out bytes.Buffer
	if json.Indent(&out, b, "", "  ") != nil {
		return b
	}
	return out.Bytes()
}
