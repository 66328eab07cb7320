//! The SQL for a role that may do what is needed and nothing else.

use crate::provision::quoted;

/// The role that is proposed where the address has an administrator's.
const PROPOSED: &str = "stoa_bot";

/// SQL that makes (or narrows) the role `role` and the schema it needs in `database`, and gives it
/// what is in that schema. To be run there by an owner of the database, who need not be a superuser;
/// it can be run again.
#[must_use]
pub fn role_sql(role: &str, database: &str) -> String {
    // The administrator's own role is not the one to narrow.
    let role = if matches!(role, "postgres" | "supabase_admin" | "neondb_owner") {
        PROPOSED
    } else {
        role
    };
    let (name, text) = (quoted(role), literal(role));
    let tag = tag(role);
    let database = quoted(database);
    format!(
        "-- Run this in the database {database}, as an owner of it. It can be run again.
-- A role that can reach the schema \"stoa\" and nothing else. Choose its password here:
DO {tag} BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {text}) THEN
        CREATE ROLE {name} LOGIN PASSWORD 'put-a-long-random-password-here';
    END IF;
    -- Only superusers may take this from a role, and only where there is something to take.
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = {text} AND rolsuper) THEN
        ALTER ROLE {name} NOSUPERUSER;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = {text} AND (rolcreatedb OR rolcreaterole)) THEN
        ALTER ROLE {name} NOCREATEDB NOCREATEROLE;
    END IF;
END {tag};
GRANT {name} TO CURRENT_USER;
GRANT CONNECT ON DATABASE {database} TO {name};
CREATE SCHEMA IF NOT EXISTS stoa AUTHORIZATION {name};
REVOKE ALL ON SCHEMA stoa FROM PUBLIC;
-- What another role has made in the schema so far goes to this one.
DO {tag} DECLARE found record; BEGIN
    ALTER SCHEMA stoa OWNER TO {name};
    FOR found IN SELECT oid::regclass AS it FROM pg_class
        WHERE relnamespace = 'stoa'::regnamespace AND relkind IN ('r', 'p')
          AND pg_get_userbyid(relowner) <> {text} LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO %I', found.it, {text});
    END LOOP;
    FOR found IN SELECT oid::regprocedure AS it FROM pg_proc
        WHERE pronamespace = 'stoa'::regnamespace AND pg_get_userbyid(proowner) <> {text} LOOP
        EXECUTE format('ALTER ROUTINE %s OWNER TO %I', found.it, {text});
    END LOOP;
END {tag};
-- Wanted, not needed: search by meaning, where the server has pgvector.
DO {tag} DECLARE home name; BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector' AND installed_version IS NULL) THEN
        IF to_regnamespace('extensions') IS NOT NULL THEN
            CREATE EXTENSION vector WITH SCHEMA extensions;
        ELSE
            CREATE EXTENSION vector;
        END IF;
    END IF;
    SELECT n.nspname INTO home FROM pg_extension e
    JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector';
    IF home IS NOT NULL THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', home, {text});
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'pgvector is there, and only a superuser may add it: search is by words until then';
END {tag};
-- To cut the bot off at any time: ALTER ROLE {name} NOLOGIN;
"
    )
}

/// A text as an SQL literal.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A dollar quote that does not occur in the role's name.
fn tag(role: &str) -> String {
    let mut name = String::from("stoa");
    while role.contains(&name) && role.contains('$') {
        name.push('_');
    }
    format!("${name}$")
}
