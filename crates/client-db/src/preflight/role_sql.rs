//! The SQL for a role that may do what is needed and nothing else.

use crate::provision::quoted;

/// SQL that makes (or narrows) the role `user` and the schema it needs in `database`. To be run
/// there by an owner; it can be run again.
#[must_use]
pub fn role_sql(user: &str, database: &str) -> String {
    // The administrator's own role is not the one to narrow.
    let administrator =
        matches!(user, "postgres" | "supabase_admin") || user.starts_with("postgres.");
    let role = quoted(if administrator { "stoa_bot" } else { user });
    let database = quoted(database);
    format!(
        "-- Run this in the database {database}, as an owner of it.
-- A role that can reach the schema \"stoa\" and nothing else:
DO $$ BEGIN
    CREATE ROLE {role} LOGIN PASSWORD 'put-a-long-random-password-here';
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;
ALTER ROLE {role} NOSUPERUSER NOCREATEDB NOCREATEROLE;
GRANT {role} TO CURRENT_USER;
GRANT CONNECT ON DATABASE {database} TO {role};
CREATE SCHEMA IF NOT EXISTS stoa AUTHORIZATION {role};
REVOKE ALL ON SCHEMA stoa FROM PUBLIC;
-- Wanted, not needed: search by meaning. Leave this out where the server has no pgvector.
CREATE EXTENSION IF NOT EXISTS vector;
DO $$ DECLARE home name; BEGIN
    SELECT n.nspname INTO home FROM pg_extension e
    JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector';
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', home, '{}');
END $$;
-- To cut the bot off at any time: ALTER ROLE {role} NOLOGIN;
",
        if administrator {
            "stoa_bot".to_owned()
        } else {
            user.replace('\'', "''")
        },
    )
}
