//! Several statements on one connection that happen together or not at all.

use std::{ops::Deref, sync::atomic::Ordering};

use super::ClientConnection;
use crate::error::ClientDbError;

/// Several statements that happen together or not at all. It is a [`ClientConnection`] too.
#[derive(Debug)]
pub struct Transaction<'a> {
    pub(super) connection: &'a mut ClientConnection,
    pub(super) ended: bool,
}

impl Transaction<'_> {
    /// Makes what was done last.
    ///
    /// # Errors
    ///
    /// `Undone` when one of the statements had failed, else see [`ClientDbError`]. After a lost
    /// connection nobody knows whether it was done.
    pub async fn commit(mut self) -> Result<(), ClientDbError> {
        if self.connection.statement_failed.load(Ordering::Relaxed) {
            self.rollback().await?;
            return Err(ClientDbError::Undone);
        }
        self.connection.send("COMMIT").await?;
        self.ended = true;
        Ok(())
    }

    /// Undoes what was done.
    ///
    /// # Errors
    ///
    /// See [`ClientDbError`]. Without a connection it is undone all the same.
    pub async fn rollback(mut self) -> Result<(), ClientDbError> {
        self.connection.send("ROLLBACK").await?;
        self.ended = true;
        Ok(())
    }
}

impl Deref for Transaction<'_> {
    type Target = ClientConnection;

    fn deref(&self) -> &ClientConnection {
        self.connection
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // The server undoes it when the connection closes, which is what unfit ones do.
            self.connection.unfit.store(true, Ordering::Relaxed);
        }
    }
}
