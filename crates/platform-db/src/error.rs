//! What can go wrong with the platform database.

use sqlx::migrate::MigrateError;

/// PostgreSQL's code for what a role may not do.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// Something that must be unique and is there already, known by its constraint's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Taken {
    /// Another instance has this slug.
    Slug,
    /// Another super admin has this address.
    SuperAdminEmail,
    /// Another admin of the same instance has this address.
    InstanceAdminEmail,
    /// Another plan has this code.
    PlanCode,
}

impl Taken {
    fn by_constraint(name: &str) -> Option<Self> {
        Some(match name {
            "chat_instances_slug_taken" => Self::Slug,
            "super_admins_email_taken" => Self::SuperAdminEmail,
            "instance_admins_email_taken" => Self::InstanceAdminEmail,
            "plans_code_taken" => Self::PlanCode,
            _ => return None,
        })
    }
}

/// Why a query gave no answer. Fit for logs, not for people outside.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DbError {
    /// A unique value is in use.
    #[error("{0:?} is taken")]
    Taken(Taken),
    /// A plan that does not exist was named.
    #[error("there is no such plan")]
    UnknownPlan,
    /// The database does not answer, or has no connection free in time.
    #[error("the platform database is not reachable")]
    Unavailable(#[source] sqlx::Error),
    /// The platform database's address cannot be read. The address itself is a secret.
    #[error(
        "the platform database's address is not of the form postgres://user:password@host:port/name"
    )]
    BadAddress,
    /// The schema could not be brought up to date.
    #[error("the platform database could not be migrated")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// A stored value is none that this version knows.
    #[error("the platform database holds a value of {column} that is not understood: {problem}")]
    NotUnderstood {
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Anything else.
    #[error("a query on the platform database failed")]
    Query(#[source] sqlx::Error),
}

impl DbError {
    /// Whether the role has not the right to do it.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        let error = match self {
            Self::Query(error) => error,
            Self::Migration(MigrateError::Execute(error)) => error,
            Self::Migration(MigrateError::ExecuteMigration(error, _)) => error,
            _ => return false,
        };
        let code = error.as_database_error().and_then(|it| it.code());
        code.as_deref() == Some(INSUFFICIENT_PRIVILEGE)
    }

    /// Whether a unique value was in use, and which.
    #[must_use]
    pub const fn taken(&self) -> Option<Taken> {
        match self {
            Self::Taken(what) => Some(*what),
            _ => None,
        }
    }
}

/// Classes 08 (connection), 53 (out of resources) and 57P (shutting down) of PostgreSQL's error
/// codes, <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn says_unavailable(code: &str) -> bool {
    ["08", "53", "57P"]
        .iter()
        .any(|class| code.starts_with(class))
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => return Self::Unavailable(error),
            sqlx::Error::Database(database) => {
                let constraint = database.constraint().unwrap_or_default();
                if let Some(taken) = Taken::by_constraint(constraint) {
                    return Self::Taken(taken);
                }
                if constraint == "chat_instances_plan_known" {
                    return Self::UnknownPlan;
                }
                if database.code().is_some_and(|code| says_unavailable(&code)) {
                    return Self::Unavailable(error);
                }
            }
            _ => {}
        }
        Self::Query(error)
    }
}
