package mailindex

import (
	"testing"

	"mailsweep/internal/sweep"
)

func TestComplementIsTheRestOfWhatAListingShows(t *testing.T) {
	t.Parallel()
	b := threeLetters()
	ix := b.known()
	ix.Apply([]Change{labelled(b.letters[2], sweep.LabelSpam, "")})
	if ignored := ix.SetComplement(LabelDimension("X"), []sweep.MessageID{b.letters[0].id, 99}); ignored != 1 {
		t.Fatalf("%d ignored", ignored)
	}
	row, _ := ix.Row(b.letters[1].id)
	if d := ix.Dimension(LabelDimension("X")); d.GetCardinality() != 1 || !d.Contains(row) {
		t.Fatalf("%s", ix.show(d))
	}
}
