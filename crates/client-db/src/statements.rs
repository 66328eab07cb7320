//! Statements that are kept prepared: those of every chat turn.
//!
//! PostgreSQL takes several times as long to plan the statements of a turn as to run them, so a
//! connection that leads straight to the server plans them once. Behind a pooler, where the next
//! transaction may meet another server, they are unnamed as all others are.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use postgres_types::Type;
use tokio_postgres::{Client, Statement, error::SqlState};

use crate::error::ClientDbError;

/// How many a connection keeps; each takes memory of the client's server.
const MOST: usize = 16;

/// What one connection keeps.
#[derive(Default)]
pub(crate) struct KeptStatements {
    /// Whether the server at the other end stays the same.
    is_direct: AtomicBool,
    met: Mutex<Vec<Met>>,
}

/// A statement that was run on the connection, and what it was prepared as once it came again:
/// preparing is a round trip of its own, which a statement that is run once never earns back.
struct Met {
    sql: &'static str,
    prepared: Option<Statement>,
}

impl KeptStatements {
    pub(crate) fn set_direct(&self, is_direct: bool) {
        self.is_direct.store(is_direct, Ordering::Relaxed);
    }

    /// The prepared statement; `None` where it is to be run unnamed.
    pub(crate) async fn prepared(
        &self,
        client: &Client,
        sql: &'static str,
        types: &[Type],
    ) -> Result<Option<Statement>, tokio_postgres::Error> {
        if !self.is_direct.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match self.meet(sql) {
            Meeting::Known(statement) => return Ok(Some(statement)),
            Meeting::First => return Ok(None),
            Meeting::Again => {}
        }
        let statement = client.prepare_typed(sql, types).await?;
        for met in self.lock().iter_mut().filter(|met| met.sql == sql) {
            met.prepared = Some(statement.clone());
        }
        Ok(Some(statement))
    }

    /// From now on everything is unnamed: the connection is not what it seemed, or the tables have
    /// changed under a plan.
    pub(crate) fn give_up(&self) {
        self.set_direct(false);
        self.lock().clear();
    }

    fn meet(&self, sql: &'static str) -> Meeting {
        let mut all = self.lock();
        match all.iter().find(|met| met.sql == sql) {
            Some(Met {
                prepared: Some(statement),
                ..
            }) => Meeting::Known(statement.clone()),
            Some(_) => Meeting::Again,
            None => {
                if all.len() < MOST {
                    all.push(Met {
                        sql,
                        prepared: None,
                    });
                }
                Meeting::First
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Met>> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Meeting {
    First,
    Again,
    Known(Statement),
}

/// Whether a failure is about the statement being kept, and so before anything was done.
pub(crate) fn is_about_keeping(error: &ClientDbError) -> bool {
    let about = [
        SqlState::INVALID_SQL_STATEMENT_NAME.code(),
        SqlState::DUPLICATE_PSTATEMENT.code(),
        // "cached plan must not change result type"
        SqlState::FEATURE_NOT_SUPPORTED.code(),
    ];
    error.sqlstate().is_some_and(|state| about.contains(&state))
}
