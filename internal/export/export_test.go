package export_test

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// GDP-1, TEN-14: an export has a row of every table of the customer's that is told, nothing of another customer, and no secret.
func TestAnExportHoldsOnesOwnDataWholeAndNobodyElses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ada, ben := r.add(t, "adasword"), r.add(t, "bensword")
	r.fill(t, ada, "adasword")
	r.fill(t, ben, "bensword")
	files := r.made(t, ada)
	whole := ""
	for name, text := range files {
		whole += name + "\n" + text
	}
	for _, table := range store.ExportedTables() {
		rows := rowsOf(t, files[table.Table+".json"])
		require.NotEmpty(t, rows, table.Table)
		for column := range table.Left {
			require.NotContains(t, rows[0], column, table.Table)
		}
	}
	require.True(t, strings.Contains(whole, "adasword@example.com"))
	for _, foreign := range []string{"bensword", ben.customer.String(), hexOf(ben.customer), hexOf(ben.user), hexOf(ben.mailbox), hexOf(ben.job)} {
		require.False(t, strings.Contains(whole, foreign), foreign)
	}
	for _, leak := range []string{"leak-", hex.EncodeToString([]byte("leak-")), "pass-adasword"} {
		require.False(t, strings.Contains(whole, leak), leak)
	}
	var about struct {
		Customer string `json:"customer_id"`
		Files    []struct {
			Name string
			Rows int
		}
		LeftOut map[string]string `json:"left_out"`
	}
	require.NoError(t, json.Unmarshal([]byte(files["about.json"]), &about))
	require.Equal(t, sweep.CustomerID.Show(ada.customer), about.Customer)
	require.Equal(t, len(files)-2, len(about.Files), "all but the README and itself")
	for _, f := range about.Files {
		require.Contains(t, files, f.Name)
	}
	require.NotEmpty(t, about.LeftOut["users.password"])
	require.NotEmpty(t, about.LeftOut["oauth_tokens"])
}

func hexOf(id sweep.ID) string { return hex.EncodeToString(id[:]) }

// GDP-1: what is sealed is told in words: what a job was asked and found, the messages of plans and runs, the senders of an index.
func TestWhatIsSealedIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ada := r.add(t, "adasword")
	r.fill(t, ada, "adasword")
	box, job, plan := ada.mailbox.String(), ada.job.String(), ada.plan.String()
	ids := []byte{0x0a, 0x02} // 5, 6 as zigzag deltas
	set := func(query string, id sweep.ID, v any, place string) {
		r.exec(t, query, r.seal(t, ada, v, place), id.String())
	}
	r.exec(t, "SET session_replication_role = replica")
	set("UPDATE jobs SET params = $1 WHERE id = $2", ada.job, map[string]any{"spec": "<asked>"}, "jobs|"+job+"|params")
	set("UPDATE jobs SET result = $1 WHERE id = $2", ada.job, map[string]any{"cleaned": 7}, "jobs|"+job+"|result")
	set("UPDATE mailboxes SET analysis = $1 WHERE id = $2", ada.mailbox, map[string]any{"messages": 8}, "mailboxes|"+box+"|analysis")
	set("UPDATE cleanup_plans SET head = $1 WHERE id = $2", ada.plan, map[string]any{"frozen_at": 9}, "cleanup_plans|"+plan+"|head")
	set("UPDATE cleanup_plans SET ids = $1 WHERE id = $2", ada.plan, ids, "cleanup_plans|"+plan+"|ids")
	set("UPDATE cleanup_plans SET kept = $1 WHERE id = $2", ada.plan, map[string]any{"starred": ids}, "cleanup_plans|"+plan+"|kept")
	set("UPDATE batches SET ids = $1 WHERE job_id = $2", ada.job, map[string]any{"groups": []any{map[string]any{"removed": []string{"INBOX"}, "ids": ids}}}, "batches|"+job+"|1")
	r.index(t, ada)
	r.exec(t, "SET session_replication_role = origin")
	files := r.made(t, ada)
	first := func(table, column string) any { return rowsOf(t, files[table+".json"])[0][column] }
	require.Equal(t, map[string]any{"spec": "<asked>"}, first("jobs", "params"))
	require.Equal(t, map[string]any{"cleaned": 7.0}, first("jobs", "result"))
	require.Equal(t, map[string]any{"messages": 8.0}, first("mailboxes", "analysis"))
	require.Equal(t, map[string]any{"frozen_at": 9.0}, first("cleanup_plans", "head"))
	require.Equal(t, []any{"5", "6"}, first("cleanup_plans", "ids"))
	require.Equal(t, map[string]any{"starred": []any{"5", "6"}}, first("cleanup_plans", "kept"))
	require.Equal(t, map[string]any{"groups": []any{map[string]any{"removed": []any{"INBOX"}, "ids": []any{"5", "6"}}}}, first("batches", "ids"))
	require.Contains(t, files["senders/"+sweep.MailboxID.Show(ada.mailbox)+".csv"], `"address","name","domain"`)
	require.Equal(t, sweep.JobID.Show(ada.job), first("jobs", "id"))
}

// GDP-1: whatever people wrote, no cell of a sheet is computed.
func TestSheetsComputeNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ada := r.add(t, "adasword")
	for _, entry := range []string{"=1+1@example.com", "+1@example.com", "-1@example.com", "@example.com", "\t=1", "\r=1", "a\",\"=1"} {
		r.exec(t, "INSERT INTO keep_list (customer_id, entry, created_at) VALUES ($1, $2, now())", ada.customer.String(), entry)
	}
	files := r.made(t, ada)
	rows, err := csv.NewReader(strings.NewReader(files["keep_list.csv"])).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 8)
	for _, row := range rows {
		for _, cell := range row {
			require.NotRegexp(t, "^[=+@\t\r-]", cell)
		}
	}
	require.Len(t, rowsOf(t, files["keep_list.json"]), 7)
}

// GDP-1: the audit log of an export verifies by itself, and shows a change.
func TestTheAuditLogOfAnExportVerifies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ada := r.add(t, "adasword")
	r.exec(t, "SELECT set_config('app.customer_id', $1, false)", ada.customer.String())
	for i := range 300 {
		r.exec(t, "SELECT audit($1, $2, now(), 'user', $3, '', '', NULL, '{\"a\": \"ü\"}')", ada.customer.String(), newID(t).String(), fmt.Sprint("act ", i))
	}
	files := r.made(t, ada)
	var about struct {
		AuditHead struct {
			Seq  float64
			Hash string
		} `json:"audit_head"`
	}
	require.NoError(t, json.Unmarshal([]byte(files["about.json"]), &about))
	entries := rowsOf(t, files["audit_logs.json"])
	require.Len(t, entries, 300)
	require.NoError(t, verify(entries, about.AuditHead.Seq, about.AuditHead.Hash))
	entries[7]["hashed"] = strings.Replace(entries[7]["hashed"].(string), "act 7", "act 8", 1)
	require.Error(t, verify(entries, about.AuditHead.Seq, about.AuditHead.Hash))
	require.Error(t, verify(entries[:299], about.AuditHead.Seq, about.AuditHead.Hash), "a cut tail")
}

// verify does what the README says.
func verify(entries []map[string]any, seq float64, head string) error {
	prev, found := "", false
	for _, e := range entries {
		raw, err := hex.DecodeString(e["prev_hash"].(string))
		if err != nil || e["prev_hash"] != prev {
			return fmt.Errorf("entry %v does not follow", e["seq"])
		}
		sum := sha256.Sum256(append(raw, e["hashed"].(string)...))
		if prev = hex.EncodeToString(sum[:]); prev != e["hash"] {
			return fmt.Errorf("entry %v was changed", e["seq"])
		}
		if !strings.Contains(e["hashed"].(string), e["action"].(string)) {
			return fmt.Errorf("entry %v says something else", e["seq"])
		}
		found = found || e["seq"] == seq && prev == head
	}
	if !found {
		return fmt.Errorf("the end is missing")
	}
	return nil
}

// GDP-1: of many workers that get it one makes it; made again it stays as it is; a deletion in between leaves nothing.
func TestAnExportIsMadeOnceOrNotAtAll(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ada := r.add(t, "adasword")
	r.fill(t, ada, "adasword")
	id := r.ask(t, ada)
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if err := r.Make(t.Context(), ada.customer, id); err != nil && sweep.CodeOf(err) != sweep.Conflict {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.NoError(t, r.Make(t.Context(), ada.customer, id))
	require.Len(t, r.posts, 1)
	require.Equal(t, 1, r.count(t, "audit_logs WHERE action = 'export.made'"))
	parts := r.count(t, "export_parts")

	gone := r.ask(t, ada)
	r.Senders = nil // it breaks late
	require.Panics(t, func() { _ = r.Make(t.Context(), ada.customer, gone) })
	require.Equal(t, parts, r.count(t, "export_parts"), "half an export is none")
	require.Equal(t, 1, r.count(t, "exports WHERE ready_at IS NULL AND id = '"+gone.String()+"'"))
	require.NoError(t, r.app.Tenant(t.Context(), ada.customer, (*store.Tx).DropExports))
	require.Equal(t, 0, r.count(t, "export_parts")+r.count(t, "exports WHERE customer_id = '"+ada.customer.String()+"'"))
	require.NoError(t, r.Make(t.Context(), ada.customer, gone), "there is nothing to make any more")
	require.Len(t, r.posts, 1)
}

// GDP-1: who deletes an export does not wait for its maker, and the maker leaves nothing behind.
func TestAnExportThatIsDeletedWhileItIsMadeLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ada := r.add(t, "adasword")
	r.fill(t, ada, "adasword")
	id := r.ask(t, ada)
	senders := r.Senders
	r.Senders = func(tx *store.Tx, box *secret.Box, mailbox sweep.ID, f func(sweep.Sender) error) error {
		if err := r.app.Tenant(context.WithoutCancel(t.Context()), ada.customer, (*store.Tx).DropExports); err != nil {
			return err
		}
		return senders(tx, box, mailbox, f)
	}
	require.NoError(t, r.Make(t.Context(), ada.customer, id))
	require.Equal(t, 0, r.count(t, "export_parts")+r.count(t, "exports"), "fill gave them one, which is gone too")
	require.Empty(t, r.posts)
}

// GDP-1: 100,000 rows with more than 100 MB of text go through little memory.
func TestAnExportOfManyRowsNeedsLittleMemory(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ada := r.add(t, "adasword")
	r.exec(t, "SET session_replication_role = replica")
	r.exec(t, `INSERT INTO outbox (customer_id, id, user_id, kind, state, run_at, error, created_at)
		SELECT $1, (left(uuid_floor(now())::text, 19) || right(gen_random_uuid()::text, 17))::uuid, $2, 'x', 'done', now(), repeat(md5(n::text), 34), now() FROM generate_series(1, 100000) n`, ada.customer.String(), ada.user.String())
	r.exec(t, "SET session_replication_role = origin")
	id := r.ask(t, ada)
	defer debug.SetGCPercent(debug.SetGCPercent(100)) // what is measured must not depend on how much garbage is let lie
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	done := make(chan error, 1)
	go func() { done <- r.Make(t.Context(), ada.customer, id) }()
	peak := uint64(0)
	var err error
	for running := true; running; {
		select {
		case err = <-done:
			running = false
		case <-time.After(20 * time.Millisecond):
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapInuse)
		}
	}
	require.NoError(t, err)
	require.Less(t, int64(peak)-int64(before.HeapInuse), int64(48<<20))
	files := unzip(t, r.fetch(t, ada, id))
	require.Greater(t, len(files["outbox.json"]), 100<<20)
	require.Len(t, rowsOf(t, files["outbox.json"]), 100_000)
	require.Greater(t, r.count(t, "export_parts"), 1)
}
