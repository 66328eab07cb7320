//! Databases that the platform makes for clients, on the operator's own cluster: a role and a
//! database for each instance, and nobody else's role may connect to it.

use std::time::Duration;

use postgres_protocol::password::scram_sha_256;
use postgres_types::Type;
use secrecy::SecretString;
use stoa_domain::{InstanceId, Random};
use stoa_outbound::Outbound;
use tokio_postgres::error::SqlState;
use tokio_util::task::TaskTracker;

use crate::{
    address::{AddressError, DatabaseAddress},
    connection::ClientConnection,
    error::ClientDbError,
    row::{column, one},
    wire::Deadlines,
};

/// Making a database copies files, which a busy disk makes slow.
const DEADLINES: Deadlines = Deadlines {
    connect: Duration::from_secs(10),
    statement: Duration::from_secs(60),
};

/// The cluster on which managed client databases are made. Its host is the operator's and is not
/// judged.
#[derive(Debug, Clone)]
pub struct ManagedCluster {
    superuser: DatabaseAddress,
    outbound: Outbound,
    tasks: TaskTracker,
}

/// The name of an instance's role and of its database. Only letters and digits by construction,
/// so it may be put into the commands that take no parameters.
struct ManagedName(String);

impl ManagedName {
    fn of(instance: InstanceId) -> Self {
        Self(format!("stoa_{}", instance.as_uuid().simple()))
    }
}

/// What can be seen of a managed cluster without changing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedCondition {
    /// The server's version as it says it, such as `18.1`.
    pub server_version: String,
    /// Whether the role may make roles and databases.
    pub may_create: bool,
    /// Whether pgvector can be had.
    pub has_vectors: bool,
}

impl ManagedCluster {
    /// The cluster at `url`, whose role may make roles and databases.
    ///
    /// # Errors
    ///
    /// When `url` is no address.
    pub fn new(url: &str, outbound: Outbound, tasks: TaskTracker) -> Result<Self, AddressError> {
        Ok(Self {
            superuser: DatabaseAddress::parse_operators(url)?,
            outbound,
            tasks,
        })
    }

    /// Makes a role and a database for `instance` and gives their address, with a new password.
    ///
    /// A creation that broke off can be run again, and so can one that did not; the password is
    /// then another and the earlier address no longer signs in. Not for two callers at once.
    ///
    /// # Errors
    ///
    /// See [`ClientDbError`].
    pub async fn create(
        &self,
        instance: InstanceId,
        random: &Random,
    ) -> Result<DatabaseAddress, ClientDbError> {
        let ManagedName(name) = ManagedName::of(instance);
        let password = password(random);
        let connection = self.connect(&self.superuser).await?;
        make_role(&connection, &name, &password).await?;
        make_database(&connection, &name).await?;
        close(&connection, &name).await?;
        // The database that the cluster's own address names, often the platform's, is closed too.
        // Others on the cluster are the operator's: see `close_to_clients`.
        close(&connection, self.superuser.database()).await?;
        drop(connection);
        self.add_vectors(&name).await?;
        Ok(self
            .superuser
            .with_role(&name, SecretString::from(password), &name))
    }

    /// The address of a database that was made on this cluster, with the host, port and encryption
    /// that the cluster has now.
    #[must_use]
    pub fn locate(&self, made: &DatabaseAddress) -> DatabaseAddress {
        self.superuser.with_credentials_of(made)
    }

    /// Takes away everybody's right to connect to `database`, for a database of the platform's on
    /// this cluster. Its owner, superusers and roles with a right of their own keep theirs.
    ///
    /// # Errors
    ///
    /// See [`ClientDbError`].
    pub async fn close_to_clients(&self, database: &str) -> Result<(), ClientDbError> {
        let connection = self.connect(&self.superuser).await?;
        close(&connection, database).await
    }

    /// Drops the database and the role of `instance`, if they are there. Ends its connections.
    ///
    /// # Errors
    ///
    /// See [`ClientDbError`].
    pub async fn drop(&self, instance: InstanceId) -> Result<(), ClientDbError> {
        let ManagedName(name) = ManagedName::of(instance);
        let connection = self.connect(&self.superuser).await?;
        connection
            .run_script(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
            .await?;
        connection
            .run_script(&format!("DROP ROLE IF EXISTS {name}"))
            .await
    }

    /// Looks at the cluster.
    ///
    /// # Errors
    ///
    /// See [`ClientDbError`].
    pub async fn condition(&self) -> Result<ManagedCondition, ClientDbError> {
        let connection = self.connect(&self.superuser).await?;
        let rows = connection
            .query(
                "SELECT pg_catalog.current_setting('server_version') AS version,
                        role.rolsuper OR (role.rolcreatedb AND role.rolcreaterole) AS may_create,
                        EXISTS (
                            SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'vector'
                        ) AS has_vectors
                 FROM pg_catalog.pg_roles role WHERE role.rolname = current_user",
                &[],
            )
            .await?;
        let condition = one(&rows, |row| {
            Ok(ManagedCondition {
                server_version: column(row, "version")?,
                may_create: column(row, "may_create")?,
                has_vectors: column(row, "has_vectors")?,
            })
        })?;
        condition.ok_or(ClientDbError::Unreadable { what: "role" })
    }

    /// pgvector, where the cluster has it. Making it may take a superuser, which the instance's
    /// role is not.
    async fn add_vectors(&self, database: &str) -> Result<(), ClientDbError> {
        let there = self.superuser.with_database(database);
        let connection = self.connect(&there).await?;
        let rows = connection
            .query(
                "SELECT EXISTS (
                     SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'vector'
                 ) AS available",
                &[],
            )
            .await?;
        if one(&rows, |row| column(row, "available"))? == Some(true) {
            connection
                .run_script("CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public")
                .await?;
        }
        Ok(())
    }

    async fn connect(&self, address: &DatabaseAddress) -> Result<ClientConnection, ClientDbError> {
        ClientConnection::open(&self.outbound, address, DEADLINES, &self.tasks).await
    }
}

/// Makes the role, or gives an existing one a new password. The server is sent the SCRAM verifier,
/// so that the password is in no log of its statements.
async fn make_role(
    connection: &ClientConnection,
    name: &str,
    password: &str,
) -> Result<(), ClientDbError> {
    let verifier = scram_sha_256(password.as_bytes());
    let attributes =
        format!("LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD '{verifier}'");
    let made = connection
        .run_script(&format!("CREATE ROLE {name} {attributes}"))
        .await;
    if let Err(error) = made {
        if !is(&error, &SqlState::DUPLICATE_OBJECT) {
            return Err(error);
        }
        connection
            .run_script(&format!("ALTER ROLE {name} {attributes}"))
            .await?;
    }
    // Whoever is no superuser must be a member of the role that is to own the database.
    let rows = connection
        .query(
            "SELECT pg_catalog.pg_has_role(current_user, $1::text::name, 'MEMBER') AS member",
            &[(&name, Type::TEXT)],
        )
        .await?;
    if one(&rows, |row| column(row, "member"))? == Some(true) {
        return Ok(());
    }
    connection
        .run_script(&format!("GRANT {name} TO CURRENT_USER"))
        .await
}

async fn make_database(connection: &ClientConnection, name: &str) -> Result<(), ClientDbError> {
    let made = connection
        .run_script(&format!(
            "CREATE DATABASE {name} OWNER {name} TEMPLATE template0 ENCODING 'UTF8'"
        ))
        .await;
    match made {
        Err(error) if is(&error, &SqlState::DUPLICATE_DATABASE) => Ok(()),
        outcome => outcome,
    }
}

/// Takes `database` from everybody who was given nothing in particular.
async fn close(connection: &ClientConnection, database: &str) -> Result<(), ClientDbError> {
    let revoke = format!(
        "REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC",
        quoted(database)
    );
    let mut tries = 0;
    loop {
        let rows = connection
            .query(
                "SELECT pg_catalog.has_database_privilege('public', $1::text, 'CONNECT, TEMPORARY')
                    AS open",
                &[(&database, Type::TEXT)],
            )
            .await?;
        if one(&rows, |row| column(row, "open"))? != Some(true) {
            return Ok(());
        }
        match connection.run_script(&revoke).await {
            // Another creation is just closing the same database: PostgreSQL does not queue these.
            Err(error) if is(&error, &SqlState::INTERNAL_ERROR) && tries < 10 => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(error),
            Ok(()) => {}
        }
    }
}

/// 192 random bits in letters and digits, so that they stand in a URL as they are.
fn password(random: &Random) -> String {
    random
        .bytes::<24>()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn is(error: &ClientDbError, state: &SqlState) -> bool {
    error.sqlstate() == Some(state.code())
}

/// A name as an SQL identifier.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
