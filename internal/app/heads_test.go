package app

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

func TestHeadsAreReadFromTheirFileAndFromALog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "heads")
	a, b := sweep.ID{15: 1}, sweep.ID{15: 2}
	keep := keepHead(path)
	for _, h := range []struct {
		who sweep.ID
		seq int64
	}{{a, 1}, {b, 7}, {a, 3}} {
		require.NoError(t, keep(h.who, store.AuditHead{Seq: h.seq, Hash: "00ff"}))
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString("not JSON\n" + `{"time":"2026-01-01T00:00:00Z","level":"INFO","msg":"duty done","duty":"heads"}` + "\n" +
		`{"time":"2026-01-01T00:00:00Z","level":"INFO","msg":"audit head","process":"scheduler","customer":"` + sweep.CustomerID.Show(b) + `","seq":9,"hash":"aa"}` + "\n")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	kept, err := readHeads(path)
	require.NoError(t, err)
	seqs := map[sweep.ID][]int64{}
	for who, heads := range kept {
		for _, h := range heads {
			seqs[who] = append(seqs[who], h.Seq)
		}
	}
	require.Equal(t, map[sweep.ID][]int64{a: {1, 3}, b: {7, 9}}, seqs)
	require.Nil(t, keepHead(""), "the log has them")
	empty := filepath.Join(t.TempDir(), "none")
	require.NoError(t, os.WriteFile(empty, []byte("{}\n"), 0o600))
	_, err = readHeads(empty)
	require.Equal(t, sweep.Invalid, sweep.CodeOf(err), "a file without heads would verify nothing")
}

// AUD-2: a line that was torn takes no other with it, neither when the next is written nor when a file is read in which one was written behind it.
func TestATornLineSwallowsNoHead(t *testing.T) {
	t.Parallel()
	a, b := sweep.ID{15: 1}, sweep.ID{15: 2}
	for _, torn := range []string{`{"time":"2026-01-01T00:00:00Z","msg":"audit head","customer":"cus_00`, "{", `{"time":"2026-01-01T00:00:00Z","msg":"audit head","customer":"` + sweep.CustomerID.Show(b) + `","seq":9,"hash":"aa"}`} {
		path := filepath.Join(t.TempDir(), "heads")
		require.NoError(t, keepHead(path)(a, store.AuditHead{Seq: 1, Hash: "00"}))
		whole, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, append(whole, torn...), 0o600))
		require.NoError(t, keepHead(path)(a, store.AuditHead{Seq: 2, Hash: "01"}))
		kept, err := readHeads(path)
		require.NoError(t, err)
		require.Len(t, kept[a], 2, torn)
		require.Len(t, kept[b], map[bool]int{true: 1}[torn[len(torn)-1] == '}'], "who forgot the end of the line alone lost nothing")

		require.NoError(t, os.WriteFile(path, append([]byte(torn), whole...), 0o600))
		kept, err = readHeads(path)
		require.NoError(t, err)
		require.Len(t, kept[a], 1, torn)
	}
}
