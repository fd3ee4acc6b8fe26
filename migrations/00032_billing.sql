-- +goose Up

-- What is bought at Stripe, beside what an operator granted: neither overwrites the other, and the better of the two is in force.
SET LOCAL lock_timeout = '500ms';

ALTER TABLE customers
  ADD COLUMN granted_plan text REFERENCES plan_quotas(tier),
  ADD COLUMN granted_until timestamptz,
  ADD COLUMN stripe_gone boolean NOT NULL DEFAULT false,
  ADD COLUMN stripe_generation int NOT NULL DEFAULT 0,
  ADD COLUMN stripe_looks bigint NOT NULL DEFAULT 0,
  ADD COLUMN stripe_look bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN customers.plan IS 'bought: what subscriptions says, in short';
COMMENT ON COLUMN customers.granted_plan IS 'by an operator; null: nothing';
COMMENT ON COLUMN customers.granted_until IS 'end of the grant; null: none';
COMMENT ON COLUMN customers.stripe_gone IS 'the customer at Stripe was deleted there: the next purchase makes another';
COMMENT ON COLUMN customers.stripe_generation IS 'how many customers at Stripe were deleted: part of the key under which the next is made';
COMMENT ON COLUMN customers.stripe_looks IS 'how many looks at Stripe have begun: the number of each';
COMMENT ON COLUMN customers.stripe_look IS 'the number of the look whose result stands: an older one changes nothing';

-- Until now a plan was granted or it was free. FORCE would hide every row from the owner.
ALTER TABLE customers NO FORCE ROW LEVEL SECURITY;
UPDATE customers SET granted_plan = plan, granted_until = plan_ends_at, plan = 'free', plan_ends_at = NULL, plan_version = plan_version + 1 WHERE plan <> 'free';
ALTER TABLE customers FORCE ROW LEVEL SECURITY;

CREATE TABLE subscriptions (
  customer_id   uuid NOT NULL REFERENCES customers(id) ON DELETE CASCADE,
  stripe_id     text NOT NULL,
  status        text NOT NULL CHECK (status IN ('trialing','active','past_due','unpaid','canceled','incomplete','incomplete_expired','paused')),
  price_id      text NOT NULL,
  tier          text NOT NULL CHECK (tier IN ('basic','pro','enterprise')),
  every         text NOT NULL CHECK (every IN ('month','year')),
  cents         bigint NOT NULL CHECK (cents >= 0),
  period_start  timestamptz NOT NULL,
  period_end    timestamptz NOT NULL,
  past_due_at   timestamptz,
  ends_at       timestamptz,
  ended_at      timestamptz,
  next_tier     text CHECK (next_tier IN ('basic','pro','enterprise')),
  next_every    text CHECK (next_every IN ('month','year')),
  waits_for_pay boolean NOT NULL DEFAULT false,
  created_at    timestamptz NOT NULL,
  updated_at    timestamptz NOT NULL,
  PRIMARY KEY (customer_id, stripe_id)
);
COMMENT ON COLUMN subscriptions.cents IS 'what each period costs, in US cents';
COMMENT ON COLUMN subscriptions.past_due_at IS 'since when an invoice is open';
COMMENT ON COLUMN subscriptions.ends_at IS 'canceled for that time';
COMMENT ON COLUMN subscriptions.next_tier IS 'what it becomes at period_end';
COMMENT ON COLUMN subscriptions.waits_for_pay IS 'a larger plan was asked for, and its invoice is not paid';
CREATE UNIQUE INDEX subscriptions_live ON subscriptions (customer_id) WHERE status NOT IN ('canceled','incomplete_expired');
SELECT fence('subscriptions');
GRANT SELECT, INSERT, UPDATE ON subscriptions TO mailsweep_app, mailsweep_scheduler;

-- What a customer is about to do at Stripe: its id is in the key of the request, so that a repeated one is the same to Stripe.
CREATE TABLE billing_intents (
  customer_id uuid NOT NULL REFERENCES customers(id) ON DELETE CASCADE,
  kind        text NOT NULL CHECK (kind IN ('checkout','change')),
  id          uuid NOT NULL,
  target      text NOT NULL,
  session     text NOT NULL DEFAULT '',
  created_at  timestamptz NOT NULL,
  PRIMARY KEY (customer_id, kind)
);
COMMENT ON COLUMN billing_intents.target IS 'what is asked for: another target is another intent';
COMMENT ON COLUMN billing_intents.session IS 'the checkout''s at Stripe, once it is known';
SELECT fence('billing_intents');
GRANT SELECT, INSERT, UPDATE, DELETE ON billing_intents TO mailsweep_app;

-- Each event of Stripe's once. A row that waits is the order to look at Stripe; no customer of ours is known when it is written.
CREATE TABLE stripe_events (
  id              text PRIMARY KEY CHECK (octet_length(id) <= 255),
  kind            text NOT NULL,
  version         text NOT NULL,
  stripe_customer text NOT NULL,
  object          text NOT NULL,
  told_at         timestamptz NOT NULL,
  received_at     timestamptz NOT NULL,
  state           text NOT NULL CHECK (state IN ('waiting','done','ignored','quarantined')),
  reason          text NOT NULL DEFAULT '',
  attempts        int NOT NULL DEFAULT 0,
  run_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  raw             text
);
COMMENT ON COLUMN stripe_events.reason IS 'why it is in quarantine, or what was odd about it';
COMMENT ON COLUMN stripe_events.raw IS 'the body, without addresses and names, of what was odd; emptied after 30 days';
CREATE INDEX stripe_events_waiting ON stripe_events (run_at) WHERE state = 'waiting';
CREATE INDEX stripe_events_received ON stripe_events (received_at);
GRANT SELECT (id, kind, version, stripe_customer, object, told_at, received_at, state, reason, attempts, run_at), INSERT ON stripe_events TO mailsweep_app;
GRANT UPDATE (state, reason, attempts, run_at) ON stripe_events TO mailsweep_app, mailsweep_scheduler;
GRANT SELECT (id, kind, version, stripe_customer, object, told_at, received_at, state, reason, attempts, run_at), UPDATE (raw), DELETE ON stripe_events TO mailsweep_scheduler;
GRANT SELECT (id, kind, version, stripe_customer, object, told_at, received_at, state, reason, attempts, run_at) ON stripe_events TO mailsweep_ops;

GRANT SELECT (stripe_customer_id) ON customers TO mailsweep_lookup;
SET LOCAL ROLE mailsweep_lookup;
-- +goose StatementBegin
CREATE FUNCTION lookup.stripe_customer(p_id text) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT id FROM customers WHERE stripe_customer_id = p_id
$$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION lookup.stripe_customer(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lookup.stripe_customer(text) TO mailsweep_app, mailsweep_scheduler;
RESET ROLE;

-- The plan that operators are shown of a job's customer: the better of bought and granted.
-- +goose StatementBegin
CREATE FUNCTION shown_plan(p_bought text, p_granted text, p_until timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN (p_until IS NULL OR p_until > now()) AND array_position('{free,basic,pro,enterprise}', p_granted) > array_position('{free,basic,pro,enterprise}', p_bought)
    THEN p_granted ELSE p_bought END
$$;
-- +goose StatementEnd
REVOKE EXECUTE ON FUNCTION shown_plan(text, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shown_plan(text, text, timestamptz) TO mailsweep_system;
GRANT SELECT (granted_plan, granted_until) ON customers TO mailsweep_system;
SET LOCAL ROLE mailsweep_system;
-- +goose StatementBegin
DO $$
DECLARE f regprocedure;
BEGIN
  FOREACH f IN ARRAY ARRAY['sys.ops_depth(timestamptz, int)', 'sys.ops_jobs(text, text, uuid, uuid, uuid, int, int)']::regprocedure[] LOOP
    EXECUTE replace(pg_get_functiondef(f), 'c.plan', 'shown_plan(c.plan, c.granted_plan, c.granted_until)');
  END LOOP;
END $$;
-- +goose StatementEnd
RESET ROLE;

-- +goose Down
SET LOCAL ROLE mailsweep_system;
-- +goose StatementBegin
DO $$
DECLARE f regprocedure;
BEGIN
  FOREACH f IN ARRAY ARRAY['sys.ops_depth(timestamptz, int)', 'sys.ops_jobs(text, text, uuid, uuid, uuid, int, int)']::regprocedure[] LOOP
    EXECUTE replace(pg_get_functiondef(f), 'shown_plan(c.plan, c.granted_plan, c.granted_until)', 'c.plan');
  END LOOP;
END $$;
-- +goose StatementEnd
RESET ROLE;
DROP FUNCTION shown_plan;
SET LOCAL ROLE mailsweep_lookup;
DROP FUNCTION lookup.stripe_customer;
RESET ROLE;
REVOKE SELECT (stripe_customer_id) ON customers FROM mailsweep_lookup;
REVOKE SELECT (granted_plan, granted_until) ON customers FROM mailsweep_system;
DROP TABLE stripe_events, billing_intents, subscriptions;
ALTER TABLE customers NO FORCE ROW LEVEL SECURITY;
UPDATE customers SET plan = granted_plan, plan_ends_at = granted_until, plan_past_due_at = NULL WHERE granted_plan IS NOT NULL AND plan = 'free';
ALTER TABLE customers FORCE ROW LEVEL SECURITY;
ALTER TABLE customers DROP COLUMN granted_plan, DROP COLUMN granted_until, DROP COLUMN stripe_gone, DROP COLUMN stripe_generation, DROP COLUMN stripe_looks, DROP COLUMN stripe_look;
