package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
)

// catalogue is the fence as rules about the schema: each query lists what breaks its rule.
var catalogue = []struct{ rule, query string }{
	{"TEN-1 a table with customer_id has row-level security, for its owner too", `SELECT relname FROM tenant_table WHERE NOT (relrowsecurity AND relforcerowsecurity)`},
	{"TEN-1 a table with customer_id has the restrictive fence, for all commands", `SELECT relname FROM tenant_table t WHERE NOT EXISTS (
		SELECT FROM policy p WHERE p.polrelid = t.oid AND p.polname = 'fence' AND NOT p.polpermissive AND p.polcmd = '*' AND p.roles = processes())`},
	{"TEN-1 customers, users, duties, google_accounts and trial_addresses are fenced as well", `SELECT relname FROM pg_class
		WHERE relname IN ('customers','users','duties','google_accounts','trial_addresses') AND NOT (relrowsecurity AND relforcerowsecurity)`},
	{"TEN-1 a table without customer_id is a known one", `SELECT relname FROM pg_class c WHERE relkind IN ('r','p') AND relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('public','sys','lookup'))
		AND c.oid NOT IN (SELECT oid FROM tenant_table) AND NOT (relnamespace = 'public'::regnamespace AND relname IN
		('customers','users','plan_quotas','security_events','halts','duties','google_accounts','dispatch_clock','ops_log','retired_keys','google_sign_ins','stripe_events','month_figures','trial_addresses','goose_db_version'))`},
	{"TEN-8 a policy is one of those we know", `SELECT p.polrelid::regclass || ': ' || p.polname FROM policy p WHERE NOT CASE p.polname
		WHEN 'fence' THEN NOT polpermissive AND polcmd = '*' AND roles = processes() AND guard = own_row(polrelid) AND coalesce(checked, guard) = guard
		WHEN 'tenant' THEN polcmd = '*' AND roles = processes() AND guard = own_row(polrelid) AND coalesce(checked, guard) = guard
		WHEN 'system' THEN roles = '{mailsweep_system}' AND polrelid::regclass::text IN ('jobs','open_jobs','outbox','mailboxes','customers','google_accounts','plan_history','usage_tracking','cleanup_runs','trial_addresses')
		WHEN 'lookup' THEN roles = '{mailsweep_lookup}' AND polcmd = 'r' AND polrelid::regclass::text IN ('users','members','email_tokens','sessions','oauth_states','login_challenges','api_keys','invitations','customers','mailboxes')
		WHEN 'scheduler' THEN roles = '{mailsweep_owner,mailsweep_scheduler}' AND polrelid = 'duties'::regclass
		WHEN 'ops' THEN roles = '{mailsweep_ops}' AND polcmd = 'r' AND polrelid = 'duties'::regclass ELSE false END`},
	{"TEN-2 a view asks with its reader's rights, and none is materialized", `SELECT relname FROM pg_class WHERE relkind IN ('v','m') AND relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('public','sys','lookup'))
		AND NOT (relkind = 'v' AND coalesce(reloptions, '{}') && '{security_invoker=true,security_invoker=on}')`},
	{"TEN-2 a SECURITY DEFINER function is a known one of a known owner, and fixes its search_path", `SELECT name || ' of ' || owner FROM function WHERE prosecdef AND NOT (
		coalesce(proconfig, '{}') @> '{"search_path=public, pg_temp"}' AND (owner, name) IN (('mailsweep_owner','ensure_partitions'), ('mailsweep_owner','detach_partition'), ('mailsweep_owner','audit'), ('mailsweep_owner','anchor_audit'),
		('mailsweep_lookup','lookup.user_by_email'), ('mailsweep_lookup','lookup.email_token'), ('mailsweep_lookup','lookup.session'), ('mailsweep_lookup','lookup.oauth_state'), ('mailsweep_lookup','lookup.login_challenge'), ('mailsweep_lookup','lookup.api_key'), ('mailsweep_lookup','lookup.invitation'), ('mailsweep_lookup','lookup.memberships'), ('mailsweep_lookup','lookup.google_identity'), ('mailsweep_lookup','lookup.mailboxes_of'), ('mailsweep_lookup','lookup.stripe_customer'), ('mailsweep_owner','part_with'), ('mailsweep_owner','purge_some'),
		('mailsweep_owner','reset_usage'), ('mailsweep_owner','drop_sign_up'), ('mailsweep_lookup','lookup.stale_sign_ups'), ('mailsweep_lookup','lookup.proven_customers'), ('mailsweep_lookup','lookup.consents_to_revoke'), ('mailsweep_lookup','lookup.consent_in_use'),
		('mailsweep_system','sys.standings'), ('mailsweep_system','sys.figures_days'), ('mailsweep_system','sys.figures_money'), ('mailsweep_system','sys.figures_plans'),
		('mailsweep_system','sys.dispatch'), ('mailsweep_system','sys.dispatch_line'), ('mailsweep_system','sys.unclaimed'), ('mailsweep_system','sys.requeue'), ('mailsweep_system','sys.dead_leases'),
		('mailsweep_system','sys.free_lanes'), ('mailsweep_system','sys.release_lane'), ('mailsweep_system','sys.know_account'), ('mailsweep_system','sys.outbox_due'),
		('mailsweep_system','sys.customers_after'), ('mailsweep_system','sys.trials_ending'), ('mailsweep_system','sys.mailboxes_to_revoke'), ('mailsweep_system','sys.job_counts'),
		('mailsweep_system','sys.open_jobs'), ('mailsweep_system','sys.unsent_posts'), ('mailsweep_system','sys.units_since'), ('mailsweep_system','sys.unfinished'),
		('mailsweep_system','sys.ops_note'), ('mailsweep_system','sys.halt'), ('mailsweep_system','sys.lift'), ('mailsweep_system','sys.ops_depth'),
		('mailsweep_system','sys.purges_due'), ('mailsweep_system','sys.forget_accounts'), ('mailsweep_system','sys.use_trial'), ('mailsweep_system','sys.free_trials'), ('mailsweep_system','sys.forget_trials'), ('mailsweep_system','sys.ops_jobs'), ('mailsweep_system','sys.ops_runs')))`},
	{"TEN-2 a function belongs to no superuser and is not for everybody", `SELECT name FROM function WHERE rolsuper OR proacl IS NULL OR EXISTS (SELECT FROM aclexplode(proacl) WHERE grantee = 0)`},
	{"TEN-3 a role of ours has no special right", `SELECT rolname FROM pg_roles WHERE rolname LIKE 'mailsweep\_%' AND (rolsuper OR rolbypassrls OR rolcreatedb OR rolcreaterole OR rolreplication OR rolinherit
		OR rolcanlogin AND rolname IN ('mailsweep_system','mailsweep_lookup'))`},
	{"TEN-3 a role of ours is a member of none", `SELECT member::regrole::text FROM pg_auth_members WHERE member::regrole::text LIKE 'mailsweep\_%'`},
	{"TEN-3 a process owns nothing", `SELECT relowner::regrole || ' owns ' || relname FROM pg_class WHERE relowner::regrole::text = ANY (servants())`},
	{"TEN-3 a process neither empties, references nor attaches triggers to a table", `SELECT r || ' on ' || c.relname || ': ' || p FROM pg_class c, unnest(servants()) r, unnest('{TRUNCATE,REFERENCES,TRIGGER}'::text[]) p
		WHERE c.relkind IN ('r','p') AND c.relnamespace = 'public'::regnamespace AND has_table_privilege(r, c.oid, p)`},
	{"TEN-3 a process creates nothing", `SELECT r || ' in ' || n.nspname FROM pg_namespace n, unnest('{mailsweep_app,mailsweep_worker,mailsweep_scheduler,mailsweep_ops}'::text[]) r
		WHERE n.nspname IN ('public','sys','lookup') AND (has_schema_privilege(r, n.oid, 'CREATE') OR has_database_privilege(r, current_database(), 'CREATE, TEMPORARY'))`},
	{"TEN-3 no process looks into the archive", `SELECT r FROM unnest(servants()) r WHERE has_schema_privilege(r, 'archive', 'USAGE, CREATE')`},
	{"TEN-3 only the worker reads tokens", `SELECT r FROM unnest(servants()) r WHERE r <> 'mailsweep_worker' AND has_column_privilege(r, 'oauth_tokens', 'sealed', 'SELECT')`},
	{"TEN-3 only the worker and the API read the index", `SELECT r FROM unnest(servants()) r WHERE r NOT IN ('mailsweep_worker','mailsweep_app')
		AND (has_column_privilege(r, 'mailbox_indexes', 'sealed', 'SELECT') OR has_column_privilege(r, 'cleanup_plans', 'ids', 'SELECT') OR has_column_privilege(r, 'batches', 'ids', 'SELECT'))`},
	{"TEN-3 ops see no tenant's table", `SELECT relname FROM tenant_table WHERE has_any_column_privilege('mailsweep_ops', oid, 'SELECT, INSERT, UPDATE')`},
	{"AUD-1 no process writes the audit log, its heads or its anchors but through its functions", `SELECT r || ' on ' || t FROM unnest(servants()) r, unnest('{audit_logs,audit_heads,audit_anchors}'::text[]) t
		WHERE has_any_column_privilege(r, t, 'INSERT, UPDATE') OR has_table_privilege(r, t, 'DELETE')`},
	{"AUD-1 every month of the audit log refuses to be emptied", `SELECT c.oid::regclass::text FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
		WHERE (c.oid = 'audit_logs'::regclass OR i.inhparent = 'audit_logs'::regclass) AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgtype & 32 <> 0 AND t.tgenabled = 'O')`},
	{"TEN-3 nobody rewrites the audit log or the ledger", `SELECT r || ' on ' || t FROM unnest(servants()) r, unnest('{audit_logs,audit_anchors,usage_ledger,ops_log,plan_history,month_figures}'::text[]) t
		WHERE has_any_column_privilege(r, t, 'UPDATE') OR has_table_privilege(r, t, 'DELETE')`},
	{"TEN-4 a unique index of a tenant's table begins with customer_id", `SELECT i.indexrelid::regclass::text FROM pg_index i JOIN tenant_table t ON t.oid = i.indrelid
		JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]
		WHERE i.indisunique AND a.attname <> 'customer_id' AND i.indexrelid::regclass::text NOT IN ('email_tokens_hash_key','sessions_hash_key','oauth_states_hash_key','login_challenges_hash_key','api_keys_hash_key','invitations_hash_key')`},
	{"TEN-4 a foreign key of a tenant's table begins with customer_id", `SELECT conrelid::regclass || ': ' || conname FROM pg_constraint k JOIN tenant_table t ON t.oid = k.conrelid
		JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.conkey[1] JOIN pg_attribute f ON f.attrelid = k.confrelid AND f.attnum = k.confkey[1]
		WHERE contype = 'f' AND NOT (a.attname = 'customer_id' AND f.attname = CASE confrelid WHEN 'customers'::regclass THEN 'id' ELSE 'customer_id' END)
		AND conname NOT IN ('members_user_id_fkey','mailboxes_account_fkey')`},
	{"GDP-2 what refers to a tenant's row goes with it", `SELECT conrelid::regclass || ': ' || conname FROM pg_constraint WHERE contype = 'f' AND confdeltype <> 'c'
		AND confrelid IN (SELECT oid FROM tenant_table UNION SELECT 'customers'::regclass UNION SELECT 'users'::regclass)`},
	{"GDP-2 what is a person's alone goes with the person", `SELECT a.attrelid::regclass::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE a.attname = 'user_id' AND c.relkind IN ('r','p')
		AND c.relnamespace = 'public'::regnamespace AND a.attrelid NOT IN (SELECT oid FROM tenant_table) AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = a.attrelid AND k.confrelid = 'users'::regclass)`},
	// The purge empties every table with a customer_id but these four, blanks the row in customers and removes that in users: what else holds words holds these, of ours, or hashes.
	{"GDP-3 a column that outlives an account and can hold an address is a known one", `SELECT relname || '.' || attname FROM wordy WHERE relname NOT IN ('users','customers','goose_db_version')
		AND (oid NOT IN (SELECT oid FROM tenant_table) OR relname IN ('audit_logs','audit_heads','audit_anchors','plan_history')) AND (relname, attname) NOT IN (
		('audit_logs','actor'), ('audit_logs','action'), ('audit_logs','object'), ('audit_logs','request_id'), ('audit_logs','address_hash'), ('audit_logs','data'), ('audit_logs','hash'), ('audit_logs','prev_hash'),
		('audit_heads','hash'), ('audit_anchors','hash'), ('plan_history','plan'), ('plan_history','granted_plan'),
		('google_accounts','account'), ('trial_addresses','address'), ('google_sign_ins','address'), ('google_sign_ins','nonce'), ('google_sign_ins','state'), ('google_sign_ins','subject'), ('google_sign_ins','ticket'),
		('security_events','kind'), ('security_events','address_hash'), ('security_events','request_id'),
		('stripe_events','id'), ('stripe_events','kind'), ('stripe_events','object'), ('stripe_events','raw'), ('stripe_events','reason'), ('stripe_events','state'), ('stripe_events','stripe_customer'), ('stripe_events','version'),
		('ops_log','act'), ('ops_log','object'), ('ops_log','operator'), ('ops_log','reason'), ('ops_log','hash'), ('ops_log','prev_hash'),
		('halts','scope'), ('halts','value'), ('halts','reason'), ('halts','created_by'), ('halts','lifted_by'),
		('duties','name'), ('retired_keys','keyset'), ('plan_quotas','tier'), ('month_figures','figures'))`},
	{"GDP-3 nothing of a mail's content has a column in clear", `SELECT relname || '.' || attname FROM wordy WHERE attname ~ '(subject|snippet|body|html|header|sender|recipient|content)' AND kind <> 'bytea'`},
}

// violations lists what breaks a rule of the catalogue, as it stands in the transaction.
func violations(ctx context.Context, tx pgx.Tx) (found []string, err error) {
	const names = `
		CREATE TEMP VIEW tenant_table AS SELECT c.oid, c.relname, c.relrowsecurity, c.relforcerowsecurity FROM pg_class c WHERE c.relkind IN ('r','p') AND c.relpersistence <> 't'
		  AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'customer_id' AND NOT a.attisdropped);
		CREATE TEMP VIEW policy AS SELECT p.polrelid, p.polname, p.polpermissive, p.polcmd, pg_get_expr(p.polqual, p.polrelid) AS guard, pg_get_expr(p.polwithcheck, p.polrelid) AS checked,
		  ARRAY(SELECT CASE o WHEN 0 THEN 'public' ELSE o::regrole::text END FROM unnest(p.polroles) o ORDER BY 1) AS roles FROM pg_policy p;
		CREATE TEMP VIEW function AS SELECT CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || p.proname AS name, p.prosecdef, p.proconfig, p.proacl, r.rolname AS owner, r.rolsuper
		  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles r ON r.oid = p.proowner WHERE n.nspname IN ('public','sys','lookup');
		CREATE TEMP VIEW wordy AS SELECT c.oid, c.relname, a.attname, format_type(a.atttypid, NULL) AS kind FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		  WHERE c.relkind IN ('r','p') AND NOT c.relispartition AND c.relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('public','sys','lookup'))
		  AND format_type(a.atttypid, NULL) NOT IN ('uuid','smallint','integer','bigint','numeric','double precision','boolean','date','timestamp with time zone');
		CREATE FUNCTION pg_temp.processes() RETURNS text[] LANGUAGE sql AS $$ SELECT '{mailsweep_app,mailsweep_owner,mailsweep_scheduler,mailsweep_worker}'::text[] $$;
		CREATE FUNCTION pg_temp.servants() RETURNS text[] LANGUAGE sql AS $$ SELECT '{mailsweep_app,mailsweep_worker,mailsweep_scheduler,mailsweep_ops,mailsweep_system,mailsweep_lookup}'::text[] $$;
		CREATE FUNCTION pg_temp.own_row(t oid) RETURNS text LANGUAGE sql AS $$ SELECT CASE t
		  WHEN 'customers'::regclass THEN '(id = ( SELECT app_customer() AS app_customer))'
		  WHEN 'users'::regclass THEN E'(id IN ( SELECT members.user_id\n   FROM members\n  WHERE (members.customer_id = ( SELECT app_customer() AS app_customer))))'
		  ELSE '(customer_id = ( SELECT app_customer() AS app_customer))' END $$;`
	if _, err := tx.Exec(ctx, names); err != nil {
		return nil, fmt.Errorf("name the catalogue: %w", err)
	}
	for _, c := range catalogue {
		query := strings.NewReplacer("processes()", "pg_temp.processes()", "servants()", "pg_temp.servants()", "own_row(", "pg_temp.own_row(").Replace(c.query)
		rows, err := tx.Query(ctx, query)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.rule, err)
		}
		broken, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.rule, err)
		}
		for _, b := range broken {
			found = append(found, c.rule+": "+b)
		}
	}
	return found, nil
}

// inDoubt runs f in a transaction of the bootstrap login that is always undone.
func (y *yard) inDoubt(f func(tx pgx.Tx)) {
	y.t.Helper()
	tx, err := y.conn.Begin(y.t.Context())
	require.NoError(y.t, err)
	defer func() { require.NoError(y.t, tx.Rollback(context.WithoutCancel(y.t.Context()))) }()
	f(tx)
}

// TEN-1, TEN-2, TEN-3, TEN-4, GDP-3
func TestTheSchemaIsFenced(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	require.NoError(t, store.Migrate(t.Context(), y.d.Bootstrap, nil), "rights on a database itself are not copied with it")
	var partitions int64
	y.inDoubt(func(tx pgx.Tx) {
		_, err := tx.Exec(t.Context(), "SET LOCAL ROLE mailsweep_scheduler; SELECT ensure_partitions('2039-11-01', 1); RESET ROLE")
		require.NoError(t, err)
		found, err := violations(t.Context(), tx)
		require.NoError(t, err)
		require.Empty(t, found)
		require.NoError(t, tx.QueryRow(t.Context(), "SELECT count(*) FROM tenant_table WHERE relname LIKE '%203911'").Scan(&partitions))
	})
	require.Equal(t, int64(5), partitions, "new partitions were looked at too")
}

// TEN-8: each hole, opened in a transaction that is undone, is told by the catalogue.
func TestAHoleInTheFenceIsNoticed(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	require.NoError(t, store.Migrate(t.Context(), y.d.Bootstrap, nil))
	for hole, rule := range map[string]string{
		"ALTER TABLE jobs NO FORCE ROW LEVEL SECURITY":      "TEN-1",
		"ALTER TABLE sessions DISABLE ROW LEVEL SECURITY":   "TEN-1",
		"ALTER TABLE customers NO FORCE ROW LEVEL SECURITY": "TEN-1",
		"DROP POLICY fence ON keep_list":                    "TEN-1",
		"DO $$ BEGIN EXECUTE (SELECT format('DROP POLICY fence ON %s', min(oid::regclass::text)) FROM pg_class WHERE relname ~ '^jobs_[0-9]{6}$'); END $$": "TEN-1",
		"CREATE TABLE diary (customer_id uuid, note text)":                                                             "TEN-1",
		"CREATE TABLE diary (note text)":                                                                               "TEN-1",
		"CREATE TABLE sys.diary (note text)":                                                                           "TEN-1",
		"CREATE POLICY wide ON jobs USING (true)":                                                                      "TEN-8",
		"CREATE POLICY system ON batches TO mailsweep_app USING (true)":                                                "TEN-8",
		"ALTER POLICY fence ON outbox USING (true)":                                                                    "TEN-8",
		"ALTER POLICY fence ON outbox WITH CHECK (true)":                                                               "TEN-8",
		"ALTER POLICY tenant ON members TO public":                                                                     "TEN-8",
		"CREATE VIEW all_jobs AS SELECT * FROM jobs":                                                                   "TEN-2",
		"CREATE MATERIALIZED VIEW all_jobs AS SELECT * FROM jobs":                                                      "TEN-2",
		"ALTER FUNCTION sys.dispatch RESET search_path":                                                                "TEN-2",
		"ALTER FUNCTION sys.dispatch OWNER TO CURRENT_USER":                                                            "TEN-2",
		"ALTER FUNCTION audit_text SECURITY DEFINER":                                                                   "TEN-2",
		"GRANT INSERT ON audit_logs TO mailsweep_app":                                                                  "AUD-1",
		"GRANT UPDATE (hash) ON audit_heads TO mailsweep_worker":                                                       "AUD-1",
		"DROP TRIGGER audit_not_emptied ON audit_logs":                                                                 "AUD-1",
		"GRANT EXECUTE ON FUNCTION sys.job_counts TO PUBLIC":                                                           "TEN-2",
		"ALTER ROLE mailsweep_ops BYPASSRLS":                                                                           "TEN-3",
		"GRANT mailsweep_system TO mailsweep_app":                                                                      "TEN-3",
		"ALTER TABLE notices OWNER TO mailsweep_app":                                                                   "TEN-3",
		"GRANT TRUNCATE ON jobs TO mailsweep_app":                                                                      "TEN-3",
		"DO $$ BEGIN EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO mailsweep_worker', current_database()); END $$": "TEN-3",
		"GRANT CREATE ON SCHEMA public TO mailsweep_worker":                                                            "TEN-3",
		"GRANT SELECT (sealed) ON oauth_tokens TO mailsweep_app":                                                       "TEN-3",
		"GRANT SELECT ON batches TO mailsweep_scheduler":                                                               "TEN-3",
		"GRANT SELECT (state) ON jobs TO mailsweep_ops":                                                                "TEN-3",
		"GRANT USAGE ON SCHEMA archive TO mailsweep_ops":                                                               "TEN-3",
		"GRANT DELETE ON audit_anchors TO mailsweep_worker":                                                            "TEN-3",
		"GRANT UPDATE (data) ON audit_logs TO mailsweep_app":                                                           "TEN-3",
		"CREATE UNIQUE INDEX one_email ON mailboxes (email)":                                                           "TEN-4",
		"ALTER TABLE batches ADD FOREIGN KEY (customer_id) REFERENCES customers(id)":                                   "GDP-2",
		"ALTER TABLE google_accounts ADD COLUMN email text":                                                            "GDP-3",
		"ALTER TABLE plan_history ADD COLUMN paid_by varchar(254)":                                                     "GDP-3",
		"CREATE TABLE diary (entry json)":                                                                              "GDP-3",
		"ALTER TABLE batches ADD COLUMN subjects text[]":                                                               "GDP-3",
		"CREATE TABLE hobbies (user_id uuid, hobby text)":                                                              "GDP-2",
		"ALTER TABLE outbox ADD FOREIGN KEY (user_id) REFERENCES users(id)":                                            "TEN-4",
	} {
		y.inDoubt(func(tx pgx.Tx) {
			_, err := tx.Exec(t.Context(), hole)
			require.NoError(t, err, hole)
			found, err := violations(t.Context(), tx)
			require.NoError(t, err, hole)
			require.NotEmpty(t, found, hole)
			require.Contains(t, strings.Join(found, "\n"), rule, hole)
		})
	}
}
