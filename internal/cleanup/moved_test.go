package cleanup_test

import (
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/secret"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// ENC-1: what jobs sealed for two customers, as it was written, opens in its own place alone: nothing in another row, column or customer.
func TestSealedValuesOpenInTheirOwnPlaceAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var values []testkit.SealedValue
	for i := range 2 {
		c := r.customer(t, fmt.Sprintf("box%d@gmail.example", i), google.Generate{Messages: 60, Seed: uint64(i) + 5})
		c.analyzed(t)
		for n, action := range []sweep.Action{sweep.MarkRead, sweep.Trash} { // two of each: plans, jobs, batches, answers
			p := c.preview(t, wanted(t, action, everything))
			v, err := c.SubmitExecute(t.Context(), c.Actor, cleanup.ExecuteRequest{Plan: planID(t, p.CleanupPlanID)}, cleanup.Idempotency{Route: "execute", Key: fmt.Sprint(n)})
			require.NoError(t, err)
			var res sweep.ExecuteResult
			c.succeeded(t, v, &res)
			require.Positive(t, res.Cleaned)
		}
		c.saveListing(t)
		values = append(values, c.sealed(t)...)
	}
	columns := map[string]bool{}
	for _, v := range values {
		columns[v.Table+"."+v.Column] = true
	}
	for _, column := range []string{"customers.data_key", "oauth_tokens.sealed", "mailboxes.analysis", "mailbox_indexes.sealed", "jobs.params", "jobs.checkpoint", "jobs.result",
		"batches.ids", "cleanup_plans.head", "cleanup_plans.ids", "cleanup_plans.kept", "idempotency_keys.answer"} {
		require.True(t, columns[column], column)
	}
	require.Greater(t, testkit.MoveSealed(t, testkit.Database{Bootstrap: r.root.Config().ConnString()}, values), 500)
}

func (c *customer) box(t *testing.T) *secret.Box {
	t.Helper()
	var wrapped []byte
	require.NoError(t, c.root.QueryRow(t.Context(), "SELECT data_key FROM customers WHERE id = $1", c.Customer.String()).Scan(&wrapped))
	box, err := c.Vault.Box(wrapped, c.Customer.String())
	require.NoError(t, err)
	return box
}

// saveListing gives each job a checkpoint, as a listing under way has one: what is over has lost its own.
func (c *customer) saveListing(t *testing.T) {
	t.Helper()
	c.each(t, "SELECT id::text FROM jobs WHERE customer_id = $1", func(id string) {
		sealed, err := c.box(t).Seal([]byte("{}"), cleanup.JobPlace(parsed(t, id), "listing|0"))
		require.NoError(t, err)
		c.exec(t, "UPDATE jobs SET checkpoint = $1 WHERE customer_id = $2 AND id = $3", sealed, c.Customer.String(), id)
	})
}

func parsed(t *testing.T, uuid string) sweep.ID {
	t.Helper()
	id, err := sweep.ParseUUID(uuid)
	require.NoError(t, err)
	return id
}

// each runs a query that gives a text for each of the customer's rows.
func (c *customer) each(t *testing.T, query string, f func(text string)) {
	t.Helper()
	rows, err := c.root.Query(t.Context(), query, c.Customer.String())
	require.NoError(t, err)
	texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	for _, text := range texts {
		f(text)
	}
}

// sealed lists what is sealed of the customer's.
func (c *customer) sealed(t *testing.T) (values []testkit.SealedValue) {
	t.Helper()
	me, box := c.Customer.String(), c.box(t)
	add := func(table, column string, open func([]byte) error, key map[string]any) {
		values = append(values, testkit.SealedValue{Table: table, Column: column, Key: key, Open: open})
	}
	boxed := func(table, column, place string, key map[string]any) {
		key["customer_id"] = me
		add(table, column, func(sealed []byte) error { _, err := box.Open(sealed, place); return err }, key)
	}
	add("customers", "data_key", func(sealed []byte) error { _, err := c.Vault.Box(sealed, me); return err }, map[string]any{"id": me})
	boxed("mailboxes", "analysis", cleanup.MailboxPlace(c.mailbox, "analysis"), map[string]any{"id": c.mailbox.String()})
	c.each(t, "SELECT encode(account, 'hex') FROM mailboxes WHERE customer_id = $1", func(account string) {
		id, err := hex.DecodeString(account)
		require.NoError(t, err)
		add("oauth_tokens", "sealed", func(sealed []byte) error {
			_, err := c.runner.Opener.Open(sealed, cleanup.TokenPlace(c.Customer, id))
			return err
		}, map[string]any{"customer_id": me, "mailbox_id": c.mailbox.String()})
	})
	c.each(t, "SELECT segment FROM mailbox_indexes WHERE customer_id = $1", func(segment string) {
		boxed("mailbox_indexes", "sealed", cleanup.MailboxPlace(c.mailbox, "index|"+segment), map[string]any{"mailbox_id": c.mailbox.String(), "segment": segment})
	})
	c.each(t, "SELECT id::text FROM jobs WHERE customer_id = $1", func(job string) {
		boxed("jobs", "params", cleanup.JobPlace(parsed(t, job), "params"), map[string]any{"id": job})
		boxed("jobs", "checkpoint", cleanup.JobPlace(parsed(t, job), "listing|0"), map[string]any{"id": job})
		boxed("jobs", "result", cleanup.JobPlace(parsed(t, job), "result"), map[string]any{"id": job})
	})
	c.each(t, "SELECT job_id::text FROM batches WHERE customer_id = $1 AND n = 0", func(job string) {
		boxed("batches", "ids", cleanup.BatchPlace(parsed(t, job), 0), map[string]any{"job_id": job, "n": 0})
	})
	c.each(t, "SELECT id::text FROM cleanup_plans WHERE customer_id = $1", func(plan string) {
		for _, part := range []string{"head", "ids", "kept"} {
			boxed("cleanup_plans", part, cleanup.PlanPlace(parsed(t, plan), part), map[string]any{"id": plan})
		}
	})
	c.each(t, "SELECT key FROM idempotency_keys WHERE customer_id = $1", func(key string) {
		boxed("idempotency_keys", "answer", "idempotency_keys|execute|"+key, map[string]any{"route": "execute", "key": key})
	})
	return values
}
