//! What a signed-in connection finds out.

use stoa_domain::InstanceId;
use stoa_outbound::Outbound;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::Findings;
use crate::{
    address::{DatabaseAddress, TRANSACTION_PORT},
    connection::ClientConnection,
    error::{ClientDbError, shown},
    marker,
    provision::quoted,
    row::{column, one},
    wire::Deadlines,
};

/// The oldest PostgreSQL that is spoken to.
const OLDEST_VERSION: i32 = 140_000;
/// The least time, in ms, that a statement should have: as long as it is waited for.
const SHORTEST_STATEMENT: i32 = 10_000;

/// Where the connection leads, to open a second one.
pub(super) struct Place<'a> {
    pub(super) outbound: &'a Outbound,
    pub(super) address: &'a DatabaseAddress,
    pub(super) deadlines: Deadlines,
    pub(super) tasks: &'a TaskTracker,
    pub(super) marker_required: bool,
}

/// What the server says of itself and of our rights, in one round trip.
struct Server {
    version_number: i32,
    version: String,
    process: i32,
    user: String,
    superuser: bool,
    administers: bool,
    read_only: bool,
    may_create_schemas: bool,
    schema_exists: bool,
    owns_schema: bool,
    foreign_tables: bool,
    vector_installed: Option<String>,
    vector_available: Option<String>,
    may_add_vector: bool,
    platform: bool,
    statement_timeout_ms: i32,
    open_to: Option<String>,
}

pub(super) async fn inspect(
    mut connection: ClientConnection,
    place: &Place<'_>,
    instance: InstanceId,
    findings: &mut Findings,
) {
    let began = Instant::now();
    let server = match server(&connection).await {
        Ok(server) => server,
        Err(error) => {
            findings.fail(
                "version",
                format!("the server did not say what it is: {error}"),
                "Check that the address leads to PostgreSQL itself or to a pooler in front of it.",
            );
            return;
        }
    };
    let took = began.elapsed().as_millis();
    findings.facts.version = Some(server.version.clone());
    findings.facts.platform = server.platform;
    if server.version_number < OLDEST_VERSION {
        findings.fail(
            "version",
            format!("PostgreSQL {}, {took} ms", server.version),
            "PostgreSQL 14 or newer is needed: upgrade the server.",
        );
        return;
    }
    findings.pass(
        "version",
        format!("PostgreSQL {}, {took} ms", server.version),
    );
    if !rights(&server, findings) {
        return;
    }
    settings(&server, findings);
    pooler(&connection, &server, place, findings).await;
    vectors(&server, findings);
    if !ownership(&connection, instance, place.marker_required, findings).await {
        return;
    }
    match write_and_read_back(&mut connection).await {
        Ok(()) => findings.pass("write_and_read_back", "a row was written, read and undone"),
        Err(error) => findings.fail(
            "write_and_read_back",
            format!("a row could not be written and read back: {error}"),
            "Check that the disk is not full and that the role may create tables in the schema \
             stoa; the SQL below makes a role that may.",
        ),
    }
}

async fn server(connection: &ClientConnection) -> Result<Server, ClientDbError> {
    let rows = connection.query(WHAT_ARE_YOU, &[]).await?;
    let server = one(&rows, |row| {
        Ok(Server {
            version_number: column(row, "version_number")?,
            version: shown(column(row, "version")?),
            process: column(row, "process")?,
            user: shown(column(row, "role")?),
            superuser: column(row, "superuser")?,
            administers: column(row, "administers")?,
            read_only: column(row, "read_only")?,
            may_create_schemas: column(row, "may_create_schemas")?,
            schema_exists: column(row, "schema_exists")?,
            owns_schema: column(row, "owns_schema")?,
            foreign_tables: column(row, "foreign_tables")?,
            vector_installed: column(row, "vector_installed")?,
            vector_available: column(row, "vector_available")?,
            may_add_vector: column(row, "may_add_vector")?,
            platform: column(row, "platform")?,
            statement_timeout_ms: column(row, "statement_timeout_ms")?,
            open_to: column::<Option<String>>(row, "open_to")?.map(|it| shown(&it)),
        })
    })?;
    server.ok_or(ClientDbError::Unreadable { what: "server" })
}

const WHAT_ARE_YOU: &str = "
SELECT pg_catalog.current_setting('server_version_num')::int4 AS version_number,
       pg_catalog.split_part(pg_catalog.current_setting('server_version'), ' ', 1) AS version,
       pg_catalog.pg_backend_pid() AS process,
       coalesce((SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user), false)
           AS superuser,
       coalesce((SELECT rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication
           FROM pg_catalog.pg_roles WHERE rolname = current_user), false) AS administers,
       current_user::text AS role,
       pg_catalog.pg_is_in_recovery()
           OR pg_catalog.current_setting('default_transaction_read_only') = 'on' AS read_only,
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
           AS may_create_schemas,
       stoa.oid IS NOT NULL AS schema_exists,
       coalesce(pg_catalog.pg_has_role(stoa.nspowner, 'USAGE')
           OR pg_catalog.has_schema_privilege(stoa.oid, 'CREATE'), false) AS owns_schema,
       EXISTS (
           SELECT FROM pg_catalog.pg_class c
           WHERE c.relnamespace = stoa.oid AND c.relkind IN ('r', 'p')
             AND NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')
       ) AS foreign_tables,
       (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'vector')
           AS vector_installed,
       (SELECT default_version FROM pg_catalog.pg_available_extensions WHERE name = 'vector')
           AS vector_available,
       coalesce((
           SELECT pg_catalog.bool_or(v.trusted OR NOT v.superuser)
           FROM pg_catalog.pg_available_extension_versions v WHERE v.name = 'vector'
       ) AND pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'), false)
           AS may_add_vector,
       EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'stoa_platform') AS platform,
       (SELECT setting::int4 FROM pg_catalog.pg_settings WHERE name = 'statement_timeout')
           AS statement_timeout_ms,
       (SELECT pg_catalog.string_agg(r.rolname, ', ' ORDER BY r.rolname)
        FROM pg_catalog.pg_roles r
        WHERE r.rolname IN ('anon', 'authenticated')
          AND pg_catalog.has_schema_privilege(r.oid, stoa.oid, 'USAGE')) AS open_to
FROM (VALUES (1)) one (row)
LEFT JOIN pg_catalog.pg_namespace stoa ON stoa.nspname = 'stoa'
";

/// False when nothing further can be tried.
fn rights(server: &Server, findings: &mut Findings) -> bool {
    let user = server.user.as_str();
    if server.read_only {
        findings.fail(
            "rights",
            "the server takes no writes: it is a replica, or read-only",
            "Use the address of the primary server. If the role is read-only itself: \
             ALTER ROLE … RESET default_transaction_read_only.",
        );
        return false;
    }
    let can = if server.schema_exists {
        server.owns_schema
    } else {
        server.may_create_schemas
    };
    if !can || (server.foreign_tables && !server.superuser) {
        let detail = if server.foreign_tables {
            format!("tables in the schema stoa belong to a role other than {user}")
        } else if server.schema_exists {
            format!("{user} may not create tables in the schema stoa")
        } else {
            format!("{user} may neither create the schema stoa nor is it there")
        };
        findings.fail(
            "rights",
            detail,
            "Run the SQL below as an owner of the database.",
        );
        return false;
    }
    if server.superuser {
        findings.warn(
            "rights",
            format!("{user} is a superuser, which is more than is needed"),
            "The SQL below makes a role that can reach only the schema stoa; use that one.",
        );
    } else if let Some(others) = &server.open_to {
        findings.warn(
            "rights",
            format!(
                "{others} may look into the schema stoa; row security still shows them nothing"
            ),
            format!("Run REVOKE ALL ON SCHEMA stoa FROM {others}; as an owner of the database."),
        );
    } else if server.administers {
        findings.warn(
            "rights",
            format!("{user} administers the server, which is more than is needed"),
            "The SQL below makes a role that can reach only the schema stoa; use that one.",
        );
    } else if server.schema_exists {
        findings.pass("rights", format!("{user} has the schema stoa"));
    } else {
        findings.pass("rights", format!("{user} may create the schema stoa"));
    }
    true
}

/// How long the server lets a statement run, which may be kept with the role, the database or the
/// server.
fn settings(server: &Server, findings: &mut Findings) {
    let limit = server.statement_timeout_ms;
    match limit {
        0 => findings.pass("settings", "statements may take as long as they need"),
        SHORTEST_STATEMENT.. => {
            findings.pass("settings", format!("statements may take {limit} ms"));
        }
        _ => findings.warn(
            "settings",
            format!(
                "the server ends statements after {limit} ms, before searches in many documents \
                 are done"
            ),
            format!(
                "Run ALTER ROLE {} SET statement_timeout = '60s'; as an owner of the database.",
                quoted(&server.user)
            ),
        ),
    }
}

/// A pooler makes up the process that it announces. One that shares servers by transaction gives
/// a second connection the very server that the first has just let go.
async fn pooler(
    connection: &ClientConnection,
    server: &Server,
    place: &Place<'_>,
    findings: &mut Findings,
) {
    let Place {
        outbound,
        address,
        deadlines,
        tasks,
        ..
    } = *place;
    if connection.announced_process() == server.process && !address.names_a_pooler() {
        findings.facts.pooler = Some("none".into());
        findings.pass("pooler", "no pooler in between");
        return;
    }
    let mut shared = address.port() == TRANSACTION_PORT;
    if let Ok(second) = ClientConnection::open(outbound, address, deadlines, tasks).await {
        let first = process(connection).await;
        shared |= first.is_some() && first == process(&second).await;
    }
    let kind = if shared { "transaction" } else { "session" };
    findings.facts.pooler = Some(kind.into());
    let detail = if shared {
        "a pooler that shares connections by transaction, which works: nothing is used that only a \
         session has (SET, LISTEN, session locks); statements are planned anew each time, as they \
         would not be without a pooler"
    } else {
        "a pooler that gives each connection one of the server's, which works; where the server has \
         few, a pooler that shares them by transaction goes further"
    };
    findings.pass("pooler", detail);
}

async fn process(connection: &ClientConnection) -> Option<i32> {
    let rows = connection
        .query("SELECT pg_catalog.pg_backend_pid() AS process", &[])
        .await
        .ok()?;
    one(&rows, |row| column(row, "process")).ok().flatten()
}

fn vectors(server: &Server, findings: &mut Findings) {
    if let Some(version) = &server.vector_installed {
        let version = shown(version);
        findings.pass("pgvector", format!("pgvector {version} is installed"));
        findings.facts.pgvector = Some(version);
        return;
    }
    match &server.vector_available {
        Some(version) if server.may_add_vector || server.superuser => {
            let version = shown(version);
            findings.pass(
                "pgvector",
                format!("pgvector {version} will be added on first use"),
            );
            findings.facts.pgvector = Some(version);
        }
        Some(version) => findings.warn(
            "pgvector",
            format!(
                "pgvector {} is there but not installed: search is by words only",
                shown(version)
            ),
            "Run CREATE EXTENSION vector; as an owner of the database; it is used from then on.",
        ),
        None => findings.warn(
            "pgvector",
            "the server has no pgvector: search is by words only",
            "Install the pgvector package on the server, then run CREATE EXTENSION vector;",
        ),
    }
}

/// False when the database is another instance's.
async fn ownership(
    connection: &ClientConnection,
    instance: InstanceId,
    marker_required: bool,
    findings: &mut Findings,
) -> bool {
    match marker::read(connection).await {
        Ok(None) => findings.pass("ownership", "the database is nobody's yet"),
        Ok(Some(marker)) if marker.instance == instance => {
            findings.facts.own = true;
            findings.pass("ownership", "the database is this instance's");
        }
        Ok(Some(_)) if !marker_required => findings.warn(
            "ownership",
            "the database belongs to another instance, which the operator allows \
             (CLIENT_DATA_ISOLATION_ENABLED=false): both will see and change the same \
             conversations, documents, people and settings",
            "Use a database of its own for each instance, unless one body of content is meant to \
             have two doors.",
        ),
        Ok(Some(_)) => {
            findings.fail(
                "ownership",
                "the database belongs to another instance",
                "One database serves one instance: use another database. If the other instance is \
                 gone for good, drop the schema stoa first, with all that is in it.",
            );
            return false;
        }
        Err(error) => {
            findings.fail(
                "ownership",
                format!("the schema stoa is there, but cannot be read: {error}"),
                "Sign in with the role that owns the schema stoa, or give it to this one.",
            );
            return false;
        }
    }
    true
}

/// In a transaction that is undone, in the schema that would be used.
async fn write_and_read_back(connection: &mut ClientConnection) -> Result<(), ClientDbError> {
    use postgres_types::Type;
    const WRITTEN: &str = "as it was written: ä, 語, 🙂";
    let transaction = connection.begin().await?;
    transaction
        .run_script(
            "SET LOCAL lock_timeout = '3s';
             DO $$ BEGIN
                 IF to_regnamespace('stoa') IS NULL THEN CREATE SCHEMA stoa; END IF;
             END $$;
             CREATE TABLE stoa.preflight_of_stoa (written text NOT NULL)",
        )
        .await?;
    transaction
        .execute(
            "INSERT INTO stoa.preflight_of_stoa (written) VALUES ($1)",
            &[(&WRITTEN, Type::TEXT)],
        )
        .await?;
    let rows = transaction
        .query("SELECT written FROM stoa.preflight_of_stoa", &[])
        .await?;
    let read: Option<String> = one(&rows, |row| column(row, "written"))?;
    transaction.rollback().await?;
    if read.as_deref() == Some(WRITTEN) {
        return Ok(());
    }
    Err(ClientDbError::Unreadable {
        what: "what was just written",
    })
}
