package box

import (
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Label is one label of a mailbox.
type Label struct {
	ID, Name string
	System   bool
	// ListVisibility and MessageVisibility are shown as Gmail's labelListVisibility and messageListVisibility.
	ListVisibility, MessageVisibility string
	gone                              bool
}

// Numbers of the system labels; user labels follow.
const (
	inbox uint16 = iota
	spam
	trash
	unread
	starred
	important
	sent
	draft
	chat
	personal
	social
	promotions
	updates
	forums
	firstUser
)

var systemLabels = [...]string{"INBOX", "SPAM", "TRASH", "UNREAD", "STARRED", "IMPORTANT", "SENT", "DRAFT", "CHAT",
	"CATEGORY_PERSONAL", "CATEGORY_SOCIAL", "CATEGORY_PROMOTIONS", "CATEGORY_UPDATES", "CATEGORY_FORUMS"}

// labelTable holds the labels and every set of labels that a message has had. Messages point to a set, so
// that a predicate over labels is worked out once per set.
type labelTable struct {
	all    []*Label // by number
	byID   map[string]uint16
	nextID int
	sets   [][]uint16
	byKey  map[string]uint32
	count  []int32 // messages per set

	version uint64 // of the labels themselves, not of who bears them
}

func newLabelTable() labelTable {
	t := labelTable{byID: map[string]uint16{}, byKey: map[string]uint32{}, nextID: 1}
	for i, id := range systemLabels {
		t.all = append(t.all, &Label{ID: id, Name: id, System: true})
		t.byID[id] = uint16(i)
	}
	t.sets = append(t.sets, nil)
	t.count = append(t.count, 0)
	return t
}

// intern gives the number of a set, never setGone, also for the empty set.
func (t *labelTable) intern(labels []uint16) uint32 {
	labels = slices.Clone(labels)
	slices.Sort(labels)
	labels = slices.Compact(labels)
	key := make([]byte, 0, 2*len(labels))
	for _, l := range labels {
		key = append(key, byte(l>>8), byte(l))
	}
	if n, ok := t.byKey[string(key)]; ok {
		return n
	}
	n := uint32(len(t.sets))
	t.sets = append(t.sets, labels)
	t.count = append(t.count, 0)
	t.byKey[string(key)] = n
	return n
}

func (t *labelTable) has(set uint32, label uint16) bool { return slices.Contains(t.sets[set], label) }

// names gives a set's label ids, sorted.
func (t *labelTable) names(set uint32) []string {
	out := make([]string, 0, len(t.sets[set]))
	for _, l := range t.sets[set] {
		out = append(out, t.all[l].ID)
	}
	sort.Strings(out)
	return out
}

// where says for each set whether f holds of it.
func (t *labelTable) where(f func(set []uint16) bool) []bool {
	out := make([]bool, len(t.sets))
	for i := 1; i < len(t.sets); i++ {
		out[i] = f(t.sets[i])
	}
	return out
}

func (t *labelTable) hasUser(set []uint16) bool {
	return len(set) > 0 && set[len(set)-1] >= firstUser
}

// addUser makes a user label; the caller has checked the name.
func (t *labelTable) addUser(name string) uint16 {
	n := uint16(len(t.all))
	l := &Label{ID: "Label_" + strconv.Itoa(t.nextID), Name: name, ListVisibility: "labelShow", MessageVisibility: "show"}
	t.nextID++
	t.all = append(t.all, l)
	t.byID[l.ID] = n
	return n
}

// named finds a label by its shown name, without regard to case.
func (t *labelTable) named(name string) (uint16, bool) {
	for n, l := range t.all {
		if !l.gone && strings.EqualFold(l.Name, name) {
			return uint16(n), true
		}
	}
	return 0, false
}
