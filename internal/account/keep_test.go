package account_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sweep"
)

func TestTheKeepListIsCanonicalAndOnesOwn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	_, other := r.member(t, "other@example.com")
	kept, err := r.PutKeepList(t.Context(), a, []string{" Boss@Work.example", "@BANK.example", "boss@work.example", "@банк.example"})
	require.NoError(t, err)
	require.Equal(t, []string{"@bank.example", "@банк.example", "boss@work.example"}, kept)
	kept, err = r.PutKeepList(t.Context(), a, []string{"@bank.example", "new@x.example"})
	require.NoError(t, err)
	stored, err := r.KeepList(t.Context(), a.Customer)
	require.NoError(t, err)
	require.Equal(t, kept, stored)
	theirs, err := r.KeepList(t.Context(), other.Customer)
	require.NoError(t, err)
	require.Equal(t, []string{}, theirs)
	_, err = r.PutKeepList(t.Context(), a, []string{"fine@x.example", "not fine", "a@b@c", `"x" OR @y`, "zero\u200bwidth@x.example", "line\nbreak@x.example"})
	var e *sweep.Error
	require.ErrorAs(t, err, &e)
	require.Len(t, e.Fields, 5)
	require.Equal(t, "entries[1]", e.Fields[0].Location)
	var many []string
	for i := range 1001 {
		many = append(many, numbered(i))
	}
	_, err = r.PutKeepList(t.Context(), other, many)
	require.Equal(t, sweep.Invalid, code(err))
	_, err = r.PutKeepList(t.Context(), other, many[:1000])
	require.NoError(t, err)
	stored, err = r.KeepList(t.Context(), a.Customer)
	require.NoError(t, err)
	require.Equal(t, kept, stored, "a refused list changed it")
	_, err = r.PutKeepList(t.Context(), a, nil)
	require.NoError(t, err)
	require.Equal(t, 1000, r.count(t, "SELECT count(*) FROM keep_list"), "an empty list empties one's own")
}

// Many keep senders at once, from the rows of a list: none is lost, one that is there already is not told of again, and the list has an end.
func TestASenderIsKeptBesideTheOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	_, err := r.PutKeepList(t.Context(), a, []string{"@bank.example"})
	require.NoError(t, err)
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() { require.NoError(t, r.KeepSender(t.Context(), a, numbered(i%3))) })
	}
	all.Wait()
	stored, err := r.KeepList(t.Context(), a.Customer)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"@bank.example", numbered(0), numbered(1), numbered(2)}, stored)
	require.Equal(t, 3, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = 'keep_list.added'"))
	require.Equal(t, sweep.Invalid, code(r.KeepSender(t.Context(), a, "nobody")))
	viewer := a
	viewer.Role = sweep.Viewer
	require.Equal(t, sweep.Forbidden, code(r.KeepSender(t.Context(), viewer, "x@y.example")))
	var many []string
	for i := range 1000 {
		many = append(many, numbered(i))
	}
	_, err = r.PutKeepList(t.Context(), a, many)
	require.NoError(t, err)
	require.NoError(t, r.KeepSender(t.Context(), a, numbered(7)), "it is there")
	require.Equal(t, sweep.Invalid, code(r.KeepSender(t.Context(), a, "one@more.example")))
}
