//! Looking at databases beside the visitors: whether one that failed is back, and whether one in
//! use still lets us in.
//!
//! A pooled connection stays signed in when its role is shut out, so what visitors do would not
//! show it for as long as the connection lasts. A fresh sign-in every few seconds of use does: this
//! is what makes the client's kill switch work.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use postgres_types::Type;
use tokio::time::{Instant, timeout_at};

use super::{ClientDatabases, Inner, breaker::Seen, entry::Entry, entry::Idle};
use crate::{
    connection::ClientConnection,
    error::{ClientDbError, ServerError},
    row::{column, one},
};

/// How old the last good sign-in of a database in use may be.
const SIGN_IN_EVERY: Duration = Duration::from_secs(7);
/// For how long after the last visitor a failing database is looked at.
const WANTED: Duration = Duration::from_secs(30);

impl ClientDatabases {
    /// Looks at a database now, whatever is known of it, and tells how it is. What is learned is
    /// for everybody.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub async fn look(&self, target: &super::Target) -> Result<(), ClientDbError> {
        let entry = self.entry(target);
        let looked = self.look_at(&entry).await;
        entry.breaker.say_looked();
        looked
    }

    /// Looks beside the visitors, and waits for what is seen where nothing is known but an old
    /// failure: whoever comes first after a quiet time is not turned away for it.
    pub(super) async fn admit(
        &self,
        entry: &Arc<Entry>,
        until: Instant,
    ) -> Result<(), ClientDbError> {
        let looked = entry.breaker.next_looked();
        tokio::pin!(looked);
        // Enabled before looking, so that what is said while looking is not missed.
        looked.as_mut().enable();
        let began = self.look_if_due(entry);
        let Some(refusal) = entry.breaker.refusal() else {
            return Ok(());
        };
        if began && refusal.may_be_over() {
            // Past the deadline the answer is the same.
            let _ = timeout_at(until, looked).await;
        }
        entry.breaker.refusal().map_or(Ok(()), Err)
    }

    /// Has a look taken beside the visitors where one is due; true when this call began it.
    pub(super) fn look_if_due(&self, entry: &Arc<Entry>) -> bool {
        let is_due = entry.breaker.is_in_doubt() || entry.unproved_for() >= SIGN_IN_EVERY;
        if !is_due || !entry.begin_to_look() {
            return false;
        }
        // Not a clone: looking ends with the pools, and does not keep them.
        let looking = keep_looking(Arc::downgrade(&self.inner), Arc::clone(entry));
        self.inner.tasks.spawn(looking);
        true
    }

    /// One look, on a connection of its own that counts among the client's.
    async fn look_at(&self, entry: &Arc<Entry>) -> Result<(), ClientDbError> {
        let settings = &self.inner.settings;
        let until = Instant::now() + settings.acquire;
        let turn = timeout_at(until, Arc::clone(&entry.turns).acquire_owned()).await;
        let _turn = turn
            .map_err(|_| ClientDbError::Busy)?
            .map_err(|_| ClientDbError::Busy)?;
        if entry.is_over_its_share() {
            drop(entry.take_longest_resting());
        }
        let place = self.place(entry.instance, until).await?;
        let deadlines = entry.breaker.look_deadlines(settings.deadlines);
        let was_open = entry.breaker.is_open();
        let looked = async {
            let connection = Box::pin(entry.try_to_open(&self.inner, deadlines)).await?;
            require_rights(&connection).await?;
            Ok(connection)
        };
        match looked.await {
            Ok(connection) => {
                entry.note_opened();
                entry.take_note();
                if was_open {
                    entry.put_back(Idle {
                        connection,
                        place,
                        since: Instant::now(),
                    });
                }
                Ok(())
            }
            // A server that takes no more connections has given us the ones that we have.
            Err(error) if is_full(&error) && !was_open && entry.connections() != (1, 0) => {
                entry.put_off_proof();
                Err(error)
            }
            Err(error) => {
                entry.breaker.failed(&error, Seen::Opening);
                if entry.breaker.is_open() {
                    entry.close_resting();
                }
                entry.take_note();
                Err(error)
            }
        }
    }
}

/// Looks until all is well, nobody asks any more, or the pool is closed.
async fn keep_looking(inner: Weak<Inner>, entry: Arc<Entry>) {
    loop {
        if let Some(wait) = entry.breaker.next_look() {
            tokio::time::sleep(wait).await;
        }
        if entry.is_closed() || entry.untouched_for() >= WANTED {
            break;
        }
        let Some(inner) = inner.upgrade() else {
            break;
        };
        let looked = ClientDatabases { inner }.look_at(&entry).await;
        entry.breaker.say_looked();
        let is_settled = looked.is_ok() || entry.breaker.next_look().is_none();
        if is_settled && !entry.breaker.is_open() {
            break;
        }
    }
    entry.has_looked();
    entry.breaker.say_looked();
    entry.take_note();
}

/// Whether all connections that the server has are taken.
fn is_full(error: &ClientDbError) -> bool {
    matches!(error, ClientDbError::SignIn(said) if said.sqlstate == "53300")
}

/// What a connection that was let in does not show: behind a pooler others signed in for it, and
/// tables may be closed one by one.
async fn require_rights(connection: &ClientConnection) -> Result<(), ClientDbError> {
    let rows = connection
        .query(
            "SELECT pg_catalog.has_database_privilege(
                        SESSION_USER, pg_catalog.current_database(), 'CONNECT')
                    AND EXISTS (SELECT FROM pg_catalog.pg_roles r
                        WHERE r.rolname OPERATOR(pg_catalog.=) SESSION_USER AND r.rolcanlogin)
                        AS may_sign_in,
                    NOT EXISTS (SELECT FROM pg_catalog.pg_class c
                        WHERE c.relnamespace OPERATOR(pg_catalog.=)
                              pg_catalog.to_regnamespace('stoa')::pg_catalog.oid
                          AND c.relname OPERATOR(pg_catalog.=) ANY (ARRAY[
                              'chat_sessions', 'chat_messages', 'live_configurations',
                              'api_configurations', 'rag_instructions', 'client_users',
                              'documents', 'document_chunks', 'tools', 'mcp_servers',
                              'tool_calls', 'budgets']::pg_catalog.name[])
                          AND NOT (pg_catalog.has_table_privilege(c.oid, 'SELECT')
                               AND pg_catalog.has_table_privilege(c.oid, 'INSERT')
                               AND pg_catalog.has_table_privilege(c.oid, 'UPDATE')
                               AND pg_catalog.has_table_privilege(c.oid, 'DELETE')))
                        AS may_work,
                    (SELECT pg_catalog.count(*) FROM (SELECT FROM stoa.chat_messages LIMIT $1) m)
                        AS read",
            &[(&1_i64, Type::INT8)],
        )
        .await?;
    let rights = one(&rows, |row| {
        Ok((
            column::<bool>(row, "may_sign_in")?,
            column::<bool>(row, "may_work")?,
        ))
    })?;
    let said = |sqlstate: &str, message: &str| ServerError {
        sqlstate: sqlstate.into(),
        message: message.into(),
    };
    match rights {
        Some((true, true)) => Ok(()),
        Some((false, _)) => Err(ClientDbError::SignIn(said(
            "28000",
            "the role may not sign in any more",
        ))),
        _ => Err(ClientDbError::Statement(said(
            "42501",
            "the role may not use all of the tables",
        ))),
    }
}
