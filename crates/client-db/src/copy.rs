//! `COPY`, in both directions: as much as there is, a piece at a time.
//!
//! Everything else on a connection has a deadline and a bound in all. What streams through here may
//! take hours and be many gigabytes, so the deadline is between two pieces and the bound is on one
//! row, beside the total that the caller allows. Whoever pulls slowly slows the server down, and so
//! does a server that takes slowly: nothing piles up in between.

use std::{future::Future, pin::Pin, sync::atomic::Ordering};

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use tokio::time::timeout;
use tokio_postgres::{CopyInSink, CopyOutStream};

use crate::{connection::ClientConnection, error::ClientDbError};

/// The most bytes of one row: that of the largest document, which text writes as two digits a byte,
/// with something over.
const LARGEST_ROW: u64 = 64 * 1024 * 1024;
/// How many rows the driver may have read beyond the one that was taken: where whoever pulls is slow,
/// it goes on reading until its own places are full.
const READ_AHEAD: u64 = 4;
/// How much is gathered before it is handed to the driver: rows are small, and each handing over
/// waits for the one before.
const HANDFUL: usize = 64 * 1024;

/// Rows that come out of `COPY … TO STDOUT`. Taken to its end, or the connection is thrown away.
pub struct CopyOut<'a> {
    stream: Pin<Box<CopyOutStream>>,
    left: u64,
    ended: bool,
    connection: &'a ClientConnection,
}

/// Rows that go into `COPY … FROM STDIN`. Finished, or the statement fails and the connection is
/// thrown away.
pub struct CopyIn<'a> {
    sink: Pin<Box<CopyInSink<Bytes>>>,
    gathered: BytesMut,
    finished: bool,
    connection: &'a ClientConnection,
}

impl ClientConnection {
    /// Begins `COPY … TO STDOUT`. `most_bytes` is what may come in all.
    ///
    /// Inside a transaction only: the statement is prepared for a moment, and a pooler that shares
    /// servers by transaction keeps both steps on one server only there.
    ///
    /// # Errors
    ///
    /// See [`ClientDbError`].
    pub async fn copy_out(&self, sql: &str, most_bytes: u64) -> Result<CopyOut<'_>, ClientDbError> {
        self.begin_copy();
        let began = self.copying(self.client().copy_out(sql)).await;
        let stream = began.inspect_err(|_| self.end_copy())?;
        Ok(CopyOut {
            stream: Box::pin(stream),
            left: most_bytes,
            ended: false,
            connection: self,
        })
    }

    /// Begins `COPY … FROM STDIN`. Inside a transaction only, as [`Self::copy_out`].
    ///
    /// # Errors
    ///
    /// See [`ClientDbError`].
    pub async fn copy_in(&self, sql: &str) -> Result<CopyIn<'_>, ClientDbError> {
        self.begin_copy();
        let began = self.copying(self.client().copy_in(sql)).await;
        let sink = began.inspect_err(|_| self.end_copy())?;
        Ok(CopyIn {
            sink: Box::pin(sink),
            gathered: BytesMut::new(),
            finished: false,
            connection: self,
        })
    }

    /// While one is under way the connection is not fit for anybody else.
    fn begin_copy(&self) {
        self.under_way().fetch_add(1, Ordering::Relaxed);
    }

    fn end_copy(&self) {
        self.budget().rest();
        self.under_way().fetch_sub(1, Ordering::Relaxed);
    }

    /// One step of a copy, within the usual deadline and with room for one row and those read ahead.
    async fn copying<T>(
        &self,
        step: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, ClientDbError> {
        self.budget().allow(READ_AHEAD * LARGEST_ROW);
        match timeout(self.statement_deadline(), step).await {
            Ok(outcome) => outcome.map_err(|error| self.failed(&error)),
            Err(_) => {
                self.abandon();
                Err(ClientDbError::Timeout(self.statement_deadline()))
            }
        }
    }
}

impl CopyOut<'_> {
    /// The next piece, which in the text format is a row with its line end; `None` after the last.
    ///
    /// # Errors
    ///
    /// `TooMuch` when more came than was allowed, else see [`ClientDbError`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, ClientDbError> {
        if self.ended {
            return Ok(None);
        }
        let stream = &mut self.stream;
        let next = async move { stream.next().await.transpose() };
        let Some(piece) = self.connection.copying(next).await? else {
            self.ended = true;
            return Ok(None);
        };
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        let Some(left) = self.left.checked_sub(length) else {
            return Err(ClientDbError::TooMuch);
        };
        self.left = left;
        Ok(Some(piece))
    }
}

impl Drop for CopyOut<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.make_unfit();
        }
        self.connection.end_copy();
    }
}

impl CopyIn<'_> {
    /// Hands over a piece, however it is cut. Waits while the server has enough to do.
    ///
    /// # Errors
    ///
    /// See [`ClientDbError`]. What the server thinks of the rows it mostly says at the end.
    pub async fn send(&mut self, piece: Bytes) -> Result<(), ClientDbError> {
        if self.gathered.is_empty() && piece.len() >= HANDFUL {
            return self.hand_over(piece).await;
        }
        self.gathered.extend_from_slice(&piece);
        if self.gathered.len() >= HANDFUL {
            let gathered = self.gathered.split().freeze();
            return self.hand_over(gathered).await;
        }
        Ok(())
    }

    /// Says that this was all, and gives the number of rows that the server took.
    ///
    /// # Errors
    ///
    /// See [`ClientDbError`].
    pub async fn finish(mut self) -> Result<u64, ClientDbError> {
        if !self.gathered.is_empty() {
            let gathered = self.gathered.split().freeze();
            self.hand_over(gathered).await?;
        }
        let rows = self.connection.copying(self.sink.as_mut().finish()).await;
        // An error of the server's ends the statement as well as success does.
        self.finished = true;
        rows
    }

    async fn hand_over(&mut self, piece: Bytes) -> Result<(), ClientDbError> {
        self.connection.copying(self.sink.send(piece)).await
    }
}

impl Drop for CopyIn<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.connection.make_unfit();
        }
        self.connection.end_copy();
    }
}
