package sweep

import (
	"encoding/binary"
	"encoding/hex"
	"io"
	"strconv"
	"time"
)

// ID is a UUIDv7: 48 bits of milliseconds, 12 of their 4096th parts (RFC 9562, 6.2, method 3), then chance. Outside the process it is shown with a prefix (see Kind).
type ID [16]byte

// Kind is the prefix under which an ID is shown: `job_` + 32 hex digits.
type Kind string

// The kinds of ids that callers see.
const (
	CustomerID Kind = "cus_"
	UserID     Kind = "usr_"
	MailboxID  Kind = "mbx_"
	JobID      Kind = "job_"
	PlanID     Kind = "pln_"
	KeyID      Kind = "key_"
	SessionID  Kind = "ses_"
	EventID    Kind = "evt_"
	ExportID   Kind = "exp_"

	InvitationID Kind = "inv_"
)

// NewID makes an id that sorts by now, to the microsecond. The chance bits come from r (crypto/rand outside tests).
func NewID(now time.Time, r io.Reader) (ID, error) {
	var id ID
	if _, err := io.ReadFull(r, id[8:]); err != nil {
		return ID{}, err
	}
	ms := uint64(now.UnixMilli())
	binary.BigEndian.PutUint16(id[0:], uint16(ms>>32))
	binary.BigEndian.PutUint32(id[2:], uint32(ms))
	part := uint16(now.Nanosecond() % 1_000_000 * 4096 / 1_000_000)
	binary.BigEndian.PutUint16(id[6:], 0x7000|part)
	id[8] = id[8]&0x3f | 0x80
	return id, nil
}

// Show gives the public form.
func (k Kind) Show(id ID) string { return string(k) + hex.EncodeToString(id[:]) }

// Parse reads the public form; anything else is NotFound, so that a malformed id and a foreign one look the same.
func (k Kind) Parse(s string) (ID, error) {
	var id ID
	if len(s) != len(k)+32 || s[:len(k)] != string(k) {
		return id, Errorf(NotFound, "there is no such object")
	}
	b, err := hex.DecodeString(s[len(k):])
	if err != nil {
		return id, Errorf(NotFound, "there is no such object")
	}
	copy(id[:], b)
	return id, nil
}

// IsZero says that no id was given.
func (id ID) IsZero() bool { return id == ID{} }

// String gives the canonical UUID form, as PostgreSQL prints it.
func (id ID) String() string {
	h := hex.EncodeToString(id[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// ParseUUID reads the canonical UUID form.
func ParseUUID(s string) (ID, error) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, Errorf(Invalid, "not a UUID")
	}
	return Kind("").Parse(s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:])
}

// Time is when the id was made, to the millisecond.
func (id ID) Time() time.Time {
	ms := uint64(binary.BigEndian.Uint16(id[0:]))<<32 | uint64(binary.BigEndian.Uint32(id[2:]))
	return time.UnixMilli(int64(ms)).UTC()
}

// MessageID is Gmail's id of a message. Its upper 44 bits are the arrival time in epoch milliseconds (measured on exported mail,
// not promised by Google): good for ordering, never alone for an age.
type MessageID uint64

// ThreadID is Gmail's id of a thread: the id of its first message.
type ThreadID uint64

// String is the form Gmail uses: hexadecimal without leading zeros.
func (m MessageID) String() string { return strconv.FormatUint(uint64(m), 16) }

// ParseMessageID reads Gmail's form.
func ParseMessageID(s string) (MessageID, error) {
	v, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		return 0, Errorf(Invalid, "not a Gmail message id")
	}
	return MessageID(v), nil
}

// Time is the arrival time that the id carries.
func (m MessageID) Time() time.Time { return time.UnixMilli(int64(m >> 20)).UTC() }
