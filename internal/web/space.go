package web

import "mailsweep/internal/sweep"

// spacePicture is what takes how much room in a mailbox.
type spacePicture struct{ Categories, Ages spaceTable }

// spaceTable is the room by one property of mail.
type spaceTable struct {
	By, What string
	Exact    bool // every size in it is
	Rows     []spaceRow
}

type spaceRow struct {
	Name  string
	Block sweep.Block
	Bar   string // length of a bar of a hundred: the share of the whole mailbox
}

// spaceOf draws an analysis; nil while it knows no bounds: Gmail's own counts have no sizes, and old analyses have no bounds.
func spaceOf(a sweep.Analysis) *spacePicture {
	known := false
	for _, b := range a.ByAge {
		known = known || b.BytesHigh > 0
	}
	if !known {
		return nil
	}
	s := spacePicture{spaceTable{By: "by category", What: "Category", Exact: a.Exact["by_category"]}, spaceTable{By: "by age", What: "Age", Exact: a.Exact["by_age"]}}
	for _, c := range sweep.Categories() {
		s.Categories.add(categoryName(c), a.ByCategory[c], a.Bytes.Estimate)
	}
	for _, key := range ageKeys() {
		s.Ages.add(ageName(key), a.ByAge[key], a.Bytes.Estimate)
	}
	return &s
}

func (t *spaceTable) add(name string, b sweep.Block, whole int64) {
	t.Exact = t.Exact && b.BytesLow == b.BytesHigh
	t.Rows = append(t.Rows, spaceRow{name, b, bar(int(b.Bytes), int(whole))})
}
