-- Roles are cluster-wide, so they stand outside the numbered migrations. None is superuser, none bypasses row-level security.
-- mailsweep_owner owns the schema; app, worker, scheduler and ops own nothing; system and lookup cannot log in and own only the
-- SECURITY DEFINER functions of schema sys.
DO $$
DECLARE r text;
BEGIN
  FOREACH r IN ARRAY ARRAY['mailsweep_owner','mailsweep_app','mailsweep_worker','mailsweep_scheduler','mailsweep_ops'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
      EXECUTE format('CREATE ROLE %I LOGIN NOINHERIT NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE', r);
    END IF;
  END LOOP;
  FOREACH r IN ARRAY ARRAY['mailsweep_system','mailsweep_lookup'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE', r);
    END IF;
  END LOOP;
END $$;

DO $$ BEGIN
  EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO mailsweep_owner', current_database());
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO mailsweep_app, mailsweep_worker, mailsweep_scheduler, mailsweep_ops', current_database());
  EXECUTE format('REVOKE TEMPORARY, CREATE ON DATABASE %I FROM PUBLIC', current_database());
END $$;

ALTER SCHEMA public OWNER TO mailsweep_owner;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO mailsweep_app, mailsweep_worker, mailsweep_scheduler, mailsweep_ops, mailsweep_system, mailsweep_lookup;

-- Two schemas for two definers: a function's owner must be able to create in its schema.
CREATE SCHEMA IF NOT EXISTS sys AUTHORIZATION mailsweep_system;
CREATE SCHEMA IF NOT EXISTS lookup AUTHORIZATION mailsweep_lookup;

-- Detached months wait here for ops to copy and drop them. No process may look in: the owner's function puts them there.
CREATE SCHEMA IF NOT EXISTS archive AUTHORIZATION mailsweep_owner;
