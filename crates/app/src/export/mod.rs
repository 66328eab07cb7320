//! Everything of an instance, as one archive that can be read without Stoa.
//!
//! A tar of NDJSON, original files and plain SQL, written while it is read: from one snapshot of the
//! client's database, a table at a time through a file on this machine's disk, since an archive says
//! how long an entry is before the entry. See `docs/adr/0016-export-format.md`.

mod archive;
mod contents;
mod names;
mod sql;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use stoa_client_db::access_log::{self, Look};
use stoa_client_db::export::{Snapshot, Table};
use stoa_client_db::{ClientConnection, ClientDbError, PooledConnection};
use stoa_domain::{AuditEntryId, InstanceId};
use stoa_platform_db::DbError;
use tokio::sync::{mpsc, oneshot};

use crate::App;
use crate::access::{ClientCaller, PlatformCaller};
use crate::audit::{self, By, Deed};
use crate::database::DatabaseError;
use crate::registry::{Registered, RegistryError};
use archive::Archive;

/// How many pieces may wait for whoever reads.
const WAITING: usize = 4;
/// No export takes longer.
const DEADLINE: Duration = Duration::from_secs(6 * 60 * 60);

/// Why there is no archive, or only the beginning of one.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is no such instance.
    #[error("there is no such instance")]
    NotFound,
    /// Another export of the same instance is under way in this process.
    #[error("this instance is being exported already")]
    UnderWay,
    /// The client's database failed.
    #[error("the client's database failed")]
    Database(#[from] DatabaseError),
    /// The registry failed.
    #[error("the instance could not be looked up")]
    Registry(#[from] RegistryError),
    /// The platform's database failed.
    #[error("the platform's database failed")]
    Platform(#[from] DbError),
    /// A file on this machine's disk.
    #[error("what is exported could not be kept on this machine's disk for a moment")]
    Disk(#[source] std::io::Error),
    /// An entry's name or size is none that an archive can have.
    #[error("an entry does not go into the archive")]
    Entry(#[source] std::io::Error),
    /// Nobody reads any more, or not for a while.
    #[error("nobody reads the archive any more")]
    Unread,
    /// The process is ending, or it took too long.
    #[error("the export was cut off")]
    CutOff,
}

impl From<ClientDbError> for ExportError {
    fn from(error: ClientDbError) -> Self {
        Self::Database(error.into())
    }
}

/// An archive as it comes.
pub struct Export {
    name: String,
    pieces: mpsc::Receiver<Bytes>,
    /// How it ended; taken when that was told.
    outcome: Option<oneshot::Receiver<Result<(), ExportError>>>,
}

impl Export {
    /// What a file of it is called.
    #[must_use]
    pub fn file_name(&self) -> &str {
        &self.name
    }

    /// The next piece; `None` after the last of a whole archive. One that is not whole ends with an
    /// error, so that nobody takes it for one.
    pub async fn next(&mut self) -> Option<Result<Bytes, ExportError>> {
        if let Some(piece) = self.pieces.recv().await {
            return Some(Ok(piece));
        }
        match self.outcome.take()?.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Err(error)),
            Err(_) => Some(Err(ExportError::CutOff)),
        }
    }
}

/// Everything of the caller's instance.
///
/// # Errors
/// When one is under way, or a database fails before anything was written.
pub async fn of_client(app: &Arc<App>, caller: &ClientCaller) -> Result<Export, ExportError> {
    start(app, Arc::clone(caller.registered()), By::from(caller), None).await
}

/// Everything of an instance, for whoever runs the commands on the platform's machine. Both sides are
/// told: the audit log, and the client's own access log before anything is read.
///
/// # Errors
/// As [`of_client`], and when there is no such instance.
pub async fn by_operator(
    app: &Arc<App>,
    caller: &PlatformCaller,
    instance: InstanceId,
    reason: &str,
) -> Result<Export, ExportError> {
    let registered = app.registered(instance).await?;
    let registered = registered.ok_or(ExportError::NotFound)?;
    let connection = app.checkout(&registered).await?;
    let look = Look {
        id: app.new_id(AuditEntryId::generate).as_uuid(),
        actor: &caller.actor().to_string(),
        action: "export",
        reason,
        at: app.clock().now(),
    };
    access_log::insert(&connection, &look).await?;
    drop(connection);
    start(app, registered, By::from(caller), Some(reason)).await
}

async fn start(
    app: &Arc<App>,
    registered: Arc<Registered>,
    by: By,
    reason: Option<&str>,
) -> Result<Export, ExportError> {
    let instance = registered.id();
    let share = app.exports().begin(instance).ok_or(ExportError::UnderWay)?;
    let connection = app.checkout(&registered).await?;
    note(app, instance, by, reason).await?;
    let (to, pieces) = mpsc::channel(WAITING);
    let (begun, beginning) = oneshot::channel();
    let (ended, outcome) = oneshot::channel();
    let day = app.clock().now().format("%Y-%m-%d");
    let name = format!("{}-{day}.tar", registered.slug());
    let worker = Arc::clone(app);
    app.tasks().spawn(async move {
        let shutdown = worker.shutdown().clone();
        let outcome = tokio::select! {
            outcome = write(&worker, &registered, connection, begun, to) => outcome,
            () = tokio::time::sleep(DEADLINE) => Err(ExportError::CutOff),
            () = shutdown.cancelled() => Err(ExportError::CutOff),
        };
        if let Err(error) = &outcome {
            tracing::warn!(%instance, %error, "an export ended before it was whole");
        }
        drop(share);
        // Whoever reads is told, if somebody does.
        ended.send(outcome).ok();
    });
    match beginning.await {
        Ok(outcome) => outcome?,
        Err(_) => return Err(ExportError::CutOff),
    }
    Ok(Export {
        name,
        pieces,
        outcome: Some(outcome),
    })
}

async fn note(
    app: &App,
    instance: InstanceId,
    by: By,
    reason: Option<&str>,
) -> Result<(), DbError> {
    let mut transaction = app.platform().begin().await?;
    let deed = Deed {
        reason,
        ..Deed::on_instance("instance.exported", instance, json!({}))
    };
    audit::record(app, &mut transaction, by, deed).await?;
    Ok(transaction.commit().await?)
}

/// Writes the archive. What fails before the first byte is told by `begun`.
async fn write(
    app: &App,
    registered: &Registered,
    mut connection: PooledConnection,
    begun: oneshot::Sender<Result<(), ExportError>>,
    to: mpsc::Sender<Bytes>,
) -> Result<(), ExportError> {
    let (snapshot, tables, schema_version) = match begin(&mut connection).await {
        Ok(begun) => begun,
        Err(error) => {
            begun.send(Err(error.into())).ok();
            return Ok(());
        }
    };
    begun.send(Ok(())).ok();
    let now = app.clock().now();
    let mut archive = Archive::new(to, now);
    contents::write(&snapshot, &tables, &mut archive).await?;
    let manifest = contents::Manifest {
        instance: registered.row(),
        schema_version,
        exported_at: now,
        tables: &tables,
    };
    manifest.write(&mut archive).await?;
    archive.end().await?;
    Ok(snapshot.end().await?)
}

async fn begin(
    connection: &mut ClientConnection,
) -> Result<(Snapshot<'_>, Vec<Table>, i32), ClientDbError> {
    let snapshot = Snapshot::begin(connection).await?;
    let tables = snapshot.tables().await?;
    let schema_version = snapshot.schema_version().await?;
    Ok((snapshot, tables, schema_version))
}

/// The instances that are being exported in this process: one export of each, since an export holds
/// a connection and reads everything.
#[derive(Clone, Default)]
pub(crate) struct Exports(Arc<Mutex<HashSet<InstanceId>>>);

impl Exports {
    fn begin(&self, instance: InstanceId) -> Option<Share> {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.insert(instance).then(|| Share {
            exports: self.clone(),
            instance,
        })
    }
}

struct Share {
    exports: Exports,
    instance: InstanceId,
}

impl Drop for Share {
    fn drop(&mut self) {
        let exports = &self.exports.0;
        let mut under_way = exports.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.remove(&self.instance);
    }
}
