//! What can go wrong with a client's database.

use std::time::Duration;

use stoa_outbound::OutboundError;
use tokio_postgres::error::SqlState;

/// How much of a server's own words is kept.
const LONGEST_MESSAGE: usize = 300;

/// The SQLSTATE with which a database that was moved away from refuses to be written to.
const MOVED: &str = "MOVED";

/// A client's database could not be used, or did not do what was asked.
///
/// Nothing in here or in its sources holds a password or an address, and of what the server says
/// only the code and the first line: its details can hold rows.
#[derive(Debug, thiserror::Error)]
pub enum ClientDbError {
    /// The door to the outside refused or failed.
    #[error("the database could not be reached")]
    Unreachable(#[source] OutboundError),
    /// TLS could not be agreed upon, or the certificate is not the host's.
    #[error("the database did not prove who it is: {reason}")]
    Tls {
        /// Which kind of wrong, for who has to mend it.
        fault: TlsFault,
        /// What was wrong.
        reason: String,
    },
    /// The address asks for less than verified TLS, and the operator does not allow that (any
    /// more) for its host. Nothing was sent.
    #[error(
        "its address asks for less than verified TLS, which the operator does not allow for its \
         host: connect it anew with sslmode=verify-full, or ask the operator to name the host in \
         STOA_ALLOWED_PRIVATE_HOSTS"
    )]
    TlsRequired,
    /// The server does not take these credentials, or wants them in a way that gives them away.
    #[error("the database refused the sign-in: {0}")]
    SignIn(ServerError),
    /// What answers does not speak PostgreSQL, or stopped doing so.
    #[error("the database broke the protocol: {reason}")]
    Protocol {
        /// What it did.
        reason: String,
    },
    /// The connection ended in the middle of something.
    #[error("the connection to the database was lost")]
    ConnectionLost,
    /// A deadline passed.
    #[error("the database did not answer within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// More rows or bytes came than anybody asked for.
    #[error("the database answered with more than the limit")]
    TooMuch,
    /// All of this client's connections, or all of this process's, are in use.
    #[error("all connections to the database are in use")]
    Busy,
    /// It failed several times in a row; it is tried again by itself.
    #[error("the database is not answering ({last}); it is tried again in {} s", .retry_in.as_secs() + 1)]
    Resting {
        /// When the next try may be made.
        retry_in: Duration,
        /// The code of the last failure.
        last: &'static str,
    },
    /// The marker in the database names another instance.
    #[error("the database belongs to another instance")]
    Mismatch,
    /// The tables that it held are gone.
    #[error("the database does not hold this instance's tables any more")]
    Vanished,
    /// A migration failed; nothing of it was kept.
    #[error("the database could not be brought up to date: migration {version} failed")]
    Migration {
        /// Which one.
        version: i32,
        /// Why.
        #[source]
        source: Box<ClientDbError>,
    },
    /// An applied migration is not the one we know, so nothing further is applied.
    #[error("migration {version} in the database is not the one this program knows")]
    ForeignMigration {
        /// Which one.
        version: i32,
    },
    /// The schema is older than what can be served, and could not be brought up to date lately.
    #[error("the database is at schema version {version}, and could not be brought up to date ({last}); it is tried again in {} s", .retry_in.as_secs() + 1)]
    SchemaTooOld {
        /// The version that it is at; 0 where there is none.
        version: i32,
        /// When it is tried again.
        retry_in: Duration,
        /// The code of the last failure.
        last: &'static str,
    },
    /// The schema is newer than what this program can know.
    #[error(
        "the database is at schema version {version}, and this program works with versions up to {newest}"
    )]
    SchemaTooNew {
        /// The version that it is at.
        version: i32,
        /// The newest that can be served.
        newest: i32,
    },
    /// A row that must be unique is there already.
    #[error("it exists already ({constraint})")]
    Conflict {
        /// The constraint's name.
        constraint: String,
    },
    /// Everything was moved to another database, and this one is kept as it was. Nothing was
    /// changed: whoever looks the address up again finds the other one.
    #[error("everything was moved to another database")]
    Moved,
    /// The server answered a statement with an error.
    #[error("the database refused a statement: {0}")]
    Statement(ServerError),
    /// A transaction was to be committed after one of its statements had failed.
    #[error("nothing was changed, because a part of the change had failed")]
    Undone,
    /// What is stored is not what this program would have stored.
    #[error("what the database holds in {what} cannot be read")]
    Unreadable {
        /// The column.
        what: &'static str,
    },
}

/// What kept TLS from being agreed upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFault {
    /// The server does not offer it.
    NotOffered,
    /// No authority that is trusted signed the certificate.
    UnknownAuthority,
    /// The certificate is another host's.
    WrongName,
    /// The certificate has run out, or is not good yet.
    OutOfDate,
    /// Something else.
    Other,
}

impl TlsFault {
    fn of(error: &rustls::Error) -> Self {
        use rustls::{CertificateError as Certificate, Error};
        match error {
            Error::InvalidCertificate(
                Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
            ) => Self::WrongName,
            Error::InvalidCertificate(
                Certificate::Expired
                | Certificate::ExpiredContext { .. }
                | Certificate::NotValidYet
                | Certificate::NotValidYetContext { .. },
            ) => Self::OutOfDate,
            Error::InvalidCertificate(Certificate::UnknownIssuer | Certificate::BadSignature) => {
                Self::UnknownAuthority
            }
            _ => Self::Other,
        }
    }
}

/// What a server said, cut down to what can be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// The five characters of SQLSTATE.
    pub sqlstate: String,
    /// The first line of its message: untrusted text, for display only.
    pub message: String,
}

impl std::fmt::Display for ServerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.sqlstate)
    }
}

impl ClientDbError {
    /// The stable name of this kind of failure.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(error) => error.code(),
            Self::Tls { .. } => "database_tls",
            Self::TlsRequired => "database_tls_required",
            Self::SignIn(_) => "database_sign_in",
            Self::Protocol { .. } => "database_protocol",
            Self::ConnectionLost => "database_connection_lost",
            Self::Timeout(_) => "database_timeout",
            Self::TooMuch => "database_answer_too_large",
            Self::Busy => "database_busy",
            Self::Resting { .. } => "database_unavailable",
            Self::Mismatch => "database_mismatch",
            Self::Vanished => "database_vanished",
            Self::Migration { .. } => "database_migration_failed",
            Self::ForeignMigration { .. } => "database_foreign_migration",
            Self::SchemaTooOld { .. } => "database_schema_too_old",
            Self::SchemaTooNew { .. } => "database_schema_too_new",
            Self::Conflict { .. } => "conflict",
            Self::Moved => "database_moved",
            Self::Statement(_) => "database_statement",
            Self::Undone => "database_undone",
            Self::Unreadable { .. } => "database_unreadable",
        }
    }

    /// Whether the database, rather than the request, is at fault, so that trying later may help.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::Tls { .. }
            | Self::TlsRequired
            | Self::SignIn(_)
            | Self::Protocol { .. }
            | Self::ConnectionLost
            | Self::Timeout(_)
            | Self::Busy
            | Self::Resting { .. }
            | Self::Mismatch
            | Self::Moved
            | Self::Vanished
            | Self::Migration { .. }
            | Self::ForeignMigration { .. }
            | Self::SchemaTooOld { .. }
            | Self::SchemaTooNew { .. } => true,
            // Shutting down, out of connections, disk or memory, or the role's rights or tables
            // taken away.
            Self::Statement(error) => {
                let taken_away = [
                    SqlState::INSUFFICIENT_PRIVILEGE.code(),
                    SqlState::READ_ONLY_SQL_TRANSACTION.code(),
                    SqlState::UNDEFINED_TABLE.code(),
                    SqlState::INVALID_SCHEMA_NAME.code(),
                ];
                matches!(error.sqlstate.get(..2), Some("08" | "53" | "57" | "58"))
                    || taken_away.contains(&error.sqlstate.as_str())
            }
            Self::TooMuch | Self::Conflict { .. } | Self::Undone | Self::Unreadable { .. } => false,
        }
    }

    /// Whether this is a rest that has come to its end.
    pub(crate) fn may_be_over(&self) -> bool {
        matches!(self, Self::Resting { retry_in, .. } if retry_in.is_zero())
    }

    /// The SQLSTATE of what the server said, if it said something.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::SignIn(error) | Self::Statement(error) => Some(&error.sqlstate),
            _ => None,
        }
    }

    /// A failed statement.
    pub(crate) fn from_statement(error: &tokio_postgres::Error) -> Self {
        if let Some(server) = error.as_db_error() {
            if *server.code() == SqlState::UNIQUE_VIOLATION {
                let constraint = shown(server.constraint().unwrap_or_default());
                return Self::Conflict { constraint };
            }
            if server.code().code() == MOVED {
                return Self::Moved;
            }
            return Self::Statement(ServerError::from(server));
        }
        if error.is_closed() {
            return Self::ConnectionLost;
        }
        Self::from_wire(error)
    }

    /// A connection that was not made.
    pub(crate) fn from_sign_in(error: &tokio_postgres::Error) -> Self {
        if let Some(server) = error.as_db_error() {
            return Self::SignIn(ServerError::from(server));
        }
        if error.is_closed() {
            return Self::Protocol {
                reason: "it closed the connection during sign-in".into(),
            };
        }
        Self::from_wire(error)
    }

    /// TLS that was not agreed upon.
    pub(crate) fn from_tls(error: &rustls::Error) -> Self {
        Self::Tls {
            fault: TlsFault::of(error),
            reason: shown(&error.to_string()),
        }
    }

    /// TLS that could not even be tried.
    pub(crate) fn without_tls(fault: TlsFault, reason: &str) -> Self {
        Self::Tls {
            fault,
            reason: shown(reason),
        }
    }

    fn from_wire(error: &tokio_postgres::Error) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(current) = cause {
            if let Some(broken) = current.downcast_ref::<crate::wire::WireViolation>() {
                return (*broken).into();
            }
            if let Some(tls) = current.downcast_ref::<rustls::Error>() {
                return Self::from_tls(tls);
            }
            if let Some(io) = current.downcast_ref::<std::io::Error>() {
                // An io::Error hides what it wraps from `source` but shows it to `get_ref`.
                if let Some(inner) = io.get_ref() {
                    cause = Some(inner);
                    continue;
                }
                if io.kind() != std::io::ErrorKind::Other
                    && io.kind() != std::io::ErrorKind::InvalidInput
                {
                    return Self::ConnectionLost;
                }
            }
            cause = current.source();
        }
        // The driver says "authentication error" of what its cause names.
        let innermost =
            std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| {
                error.source()
            })
            .last();
        Self::Protocol {
            reason: shown(&innermost.map_or_else(String::new, ToString::to_string)),
        }
    }
}

impl From<&tokio_postgres::error::DbError> for ServerError {
    fn from(error: &tokio_postgres::error::DbError) -> Self {
        Self {
            sqlstate: shown(error.code().code()),
            message: shown(error.message()),
        }
    }
}

/// A server's words made fit to be shown: one line, bounded, without control characters.
pub(crate) fn shown(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LONGEST_MESSAGE)
        .collect::<String>()
        .trim()
        .to_owned()
}
