//! One connection to a client's database, and what may be done with it.

mod transaction;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::TryStreamExt;
use postgres_types::{ToSql, Type};
use stoa_outbound::Outbound;
use tokio::time::timeout;
use tokio_postgres::{Client, Row, RowStream, Statement};
use tokio_util::task::TaskTracker;

use crate::{
    address::DatabaseAddress,
    error::ClientDbError,
    pool::Breaker,
    statements::{KeptStatements, is_about_keeping},
    wire::{self, Budget, Deadlines, Wire},
};

pub use transaction::Transaction;

/// A statement's parameters with their types: most are not prepared, so the server is told.
pub(crate) type Parameters<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

/// The most bytes of an ordinary answer: 8 MiB.
const LARGEST_ANSWER: u64 = 8 * 1024 * 1024;
/// The most bytes of an answer without rows: 64 KiB.
const LARGEST_WITHOUT_ROWS: u64 = 64 * 1024;
/// The most rows of any answer: no statement of ours asks for more than 500.
const MOST_ROWS: usize = 2_000;

/// A connection that is signed in. Query functions of this crate borrow it.
///
/// Every statement has a deadline and a bound on what may come back. Anything out of order (a
/// passed deadline, a broken bound, a statement abandoned half-way) makes the connection unfit,
/// and the pool throws it away. What the server still works at then is cancelled.
pub struct ClientConnection {
    wire: Wire,
    statement_deadline: Duration,
    has_vectors: bool,
    schema_version: i32,
    unfit: AtomicBool,
    /// Whether a statement failed since the transaction began, which PostgreSQL undoes at COMMIT
    /// without calling that an error.
    statement_failed: AtomicBool,
    under_way: AtomicU32,
    /// Whether the database said that it was moved away from.
    met_a_closed_door: AtomicBool,
    kept: KeptStatements,
    /// Who is told how statements fare.
    breaker: Option<Arc<Breaker>>,
}

impl std::fmt::Debug for ClientConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientConnection").finish_non_exhaustive()
    }
}

impl ClientConnection {
    /// Connects without a pool, for checks and set-up.
    pub(crate) async fn open(
        outbound: &Outbound,
        address: &DatabaseAddress,
        deadlines: Deadlines,
        tasks: &TaskTracker,
    ) -> Result<Self, ClientDbError> {
        Ok(Self {
            wire: wire::connect(outbound, address, deadlines, tasks).await?,
            statement_deadline: deadlines.statement,
            has_vectors: false,
            schema_version: 0,
            unfit: AtomicBool::new(false),
            statement_failed: AtomicBool::new(false),
            under_way: AtomicU32::new(0),
            met_a_closed_door: AtomicBool::new(false),
            kept: KeptStatements::default(),
            breaker: None,
        })
    }

    /// Whether passages can have vectors in this database.
    #[must_use]
    pub fn has_vectors(&self) -> bool {
        self.has_vectors
    }

    /// The schema version that the database had when this connection was opened; at least that is
    /// there. What came with a later version is not to be used on this connection.
    #[must_use]
    pub fn schema_version(&self) -> i32 {
        self.schema_version
    }

    /// Refuses what needs a schema version that the database did not have then.
    pub(crate) fn require_schema(&self, since: i32) -> Result<(), ClientDbError> {
        match self.schema_version >= since {
            true => Ok(()),
            false => Err(ClientDbError::SchemaTooOld {
                version: self.schema_version,
                retry_in: Duration::from_secs(60),
                last: "migration_pending",
            }),
        }
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.wire.encrypted
    }

    /// Begins a transaction. Unless committed, it is undone.
    ///
    /// # Errors
    ///
    /// See [`ClientDbError`].
    pub async fn begin(&mut self) -> Result<Transaction<'_>, ClientDbError> {
        self.send("BEGIN").await?;
        self.statement_failed.store(false, Ordering::Relaxed);
        Ok(Transaction {
            connection: self,
            ended: false,
        })
    }

    pub(crate) fn set_has_vectors(&mut self, has: bool) {
        self.has_vectors = has;
    }

    pub(crate) fn set_schema_version(&mut self, version: i32) {
        self.schema_version = version;
    }

    /// Whether nothing has gone out of order on it so far.
    pub(crate) fn answers(&self) -> bool {
        !self.unfit.load(Ordering::Relaxed) && !self.wire.client.is_closed()
    }

    /// Says which process answers. Where it is the one that was announced, nothing shares it, and
    /// it keeps what it is given.
    pub(crate) fn set_process(&mut self, process: i32) {
        self.kept.set_direct(process == self.announced_process());
    }

    /// From now on the breaker is told how statements fare.
    pub(crate) fn watch_with(&mut self, breaker: Arc<Breaker>) {
        self.breaker = Some(breaker);
    }

    /// Whether the next user may have it.
    pub(crate) fn is_fit(&self) -> bool {
        !self.unfit.load(Ordering::Relaxed)
            && self.under_way.load(Ordering::Relaxed) == 0
            && !self.wire.budget.is_worn()
            && !self.wire.client.is_closed()
    }

    /// The rows of a statement.
    pub(crate) async fn query(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, ClientDbError> {
        self.query_large(LARGEST_ANSWER, sql, parameters).await
    }

    /// The rows of a statement that may answer with more than usual.
    pub(crate) async fn query_large(
        &self,
        most_bytes: u64,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, ClientDbError> {
        self.mind(sql);
        self.bounded(most_bytes, async {
            let parameters = parameters
                .iter()
                .map(|(value, kind)| (*value, kind.clone()));
            let stream = self.wire.client.query_typed_raw(sql, parameters).await;
            self.collected(stream.map_err(|it| self.failed(&it))?).await
        })
        .await
    }

    /// The rows of a statement that is made again and again, which is planned once where that can be kept.
    pub(crate) async fn query_often(
        &self,
        sql: &'static str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, ClientDbError> {
        let Some(statement) = self.kept(sql, parameters).await? else {
            return self.query(sql, parameters).await;
        };
        let rows = self.bounded(LARGEST_ANSWER, async {
            let values = parameters.iter().map(|(value, _)| *value);
            let stream = self.wire.client.query_raw(&statement, values).await;
            self.collected(stream.map_err(|it| self.failed(&it))?).await
        });
        match rows.await {
            Err(error) if is_about_keeping(&error) => {
                self.kept.give_up();
                self.query(sql, parameters).await
            }
            rows => rows,
        }
    }

    /// How many rows such a statement changed.
    pub(crate) async fn execute_often(
        &self,
        sql: &'static str,
        parameters: Parameters<'_>,
    ) -> Result<u64, ClientDbError> {
        let Some(statement) = self.kept(sql, parameters).await? else {
            return self.execute(sql, parameters).await;
        };
        let changed = self.bounded(LARGEST_WITHOUT_ROWS, async {
            let values = parameters.iter().map(|(value, _)| *value);
            let done = self.wire.client.execute_raw(&statement, values).await;
            done.map_err(|it| self.failed(&it))
        });
        match changed.await {
            Err(error) if is_about_keeping(&error) => {
                self.kept.give_up();
                self.execute(sql, parameters).await
            }
            changed => changed,
        }
    }

    /// How many rows a statement changed.
    pub(crate) async fn execute(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
    ) -> Result<u64, ClientDbError> {
        self.mind(sql);
        self.bounded(LARGEST_WITHOUT_ROWS, async {
            let done = self.wire.client.execute_typed(sql, parameters).await;
            done.map_err(|it| self.failed(&it))
        })
        .await
    }

    /// Runs statements of ours without parameters, several at once if need be. They may leave the
    /// session another than it was, so nobody gets the connection after this.
    pub(crate) async fn run_script(&self, sql: &str) -> Result<(), ClientDbError> {
        self.make_unfit();
        self.send(sql).await
    }

    /// A statement that is none of the plain ones may outlast itself in the session: nobody gets
    /// the connection after it. Ours are all plain, so this costs a look at their first letters.
    fn mind(&self, sql: &str) {
        const PLAIN: [&str; 5] = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"];
        let first = sql.trim_start();
        if !PLAIN.iter().any(|word| first.starts_with(word)) {
            self.make_unfit();
        }
    }

    async fn send(&self, sql: &str) -> Result<(), ClientDbError> {
        self.bounded(LARGEST_WITHOUT_ROWS, async {
            self.wire
                .client
                .batch_execute(sql)
                .await
                .map_err(|it| self.failed(&it))
        })
        .await
    }

    /// The server process as it named itself at the sign-in; a pooler makes a number up.
    pub(crate) fn announced_process(&self) -> i32 {
        self.wire.budget.process_id().cast_signed()
    }

    /// Gives statements on this connection another deadline than usual.
    pub(crate) fn set_statement_deadline(&mut self, deadline: Duration) {
        self.statement_deadline = deadline;
    }

    pub(crate) fn statement_deadline(&self) -> Duration {
        self.statement_deadline
    }

    pub(crate) fn client(&self) -> &Client {
        &self.wire.client
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.wire.budget
    }

    /// How many statements or copies are at work.
    pub(crate) fn under_way(&self) -> &AtomicU32 {
        &self.under_way
    }

    /// Whether the database said that it was moved away from.
    pub(crate) fn met_a_closed_door(&self) -> bool {
        self.met_a_closed_door.load(Ordering::Relaxed)
    }

    /// Nobody gets this connection after its present user.
    pub(crate) fn make_unfit(&self) {
        self.unfit.store(true, Ordering::Relaxed);
    }

    /// Stops what the server works at, for nobody waits for it any more. Does not wait for that.
    pub(crate) fn abandon(&self) {
        self.make_unfit();
        self.wire.cancel();
    }

    /// A statement as this connection keeps it; `None` where it is to be run unnamed.
    async fn kept(
        &self,
        sql: &'static str,
        parameters: Parameters<'_>,
    ) -> Result<Option<Statement>, ClientDbError> {
        let prepared = self.bounded(LARGEST_WITHOUT_ROWS, async {
            let types: Vec<Type> = parameters.iter().map(|(_, kind)| kind.clone()).collect();
            let prepared = self.kept.prepared(&self.wire.client, sql, &types).await;
            prepared.map_err(|it| self.failed(&it))
        });
        match prepared.await {
            Err(error) if is_about_keeping(&error) => {
                self.kept.give_up();
                Ok(None)
            }
            prepared => prepared,
        }
    }

    async fn collected(&self, rows: RowStream) -> Result<Vec<Row>, ClientDbError> {
        let mut stream = std::pin::pin!(rows);
        let mut rows = Vec::new();
        while let Some(row) = stream.try_next().await.map_err(|it| self.failed(&it))? {
            if rows.len() == MOST_ROWS {
                self.unfit.store(true, Ordering::Relaxed);
                return Err(ClientDbError::TooMuch);
            }
            rows.push(row);
            // Rows that have come are read without waiting: others shall have their turn as well.
            tokio::task::coop::consume_budget().await;
        }
        Ok(rows)
    }

    async fn bounded<T>(
        &self,
        most_bytes: u64,
        work: impl Future<Output = Result<T, ClientDbError>>,
    ) -> Result<T, ClientDbError> {
        self.wire.budget.allow(most_bytes);
        let statement = UnderWay::begin(self);
        let outcome = match timeout(self.statement_deadline, work).await {
            Ok(outcome) => {
                statement.end();
                outcome
            }
            Err(_) => {
                drop(statement);
                Err(ClientDbError::Timeout(self.statement_deadline))
            }
        };
        if let Some(breaker) = &self.breaker {
            match &outcome {
                Ok(_) => breaker.statement_worked(),
                Err(error) => breaker.statement_failed(error),
            }
        }
        outcome
    }

    pub(crate) fn failed(&self, error: &tokio_postgres::Error) -> ClientDbError {
        self.statement_failed.store(true, Ordering::Relaxed);
        if let Some(violation) = self.wire.budget.violation() {
            self.unfit.store(true, Ordering::Relaxed);
            return violation.into();
        }
        if error.as_db_error().is_none() {
            self.unfit.store(true, Ordering::Relaxed);
        }
        let failed = ClientDbError::from_statement(error);
        if matches!(failed, ClientDbError::Moved) {
            self.met_a_closed_door.store(true, Ordering::Relaxed);
            self.unfit.store(true, Ordering::Relaxed);
        }
        failed
    }
}

/// A statement that the server works at. Dropped before its end, because its deadline has passed or
/// its caller has gone, it is stopped, and the connection is not used again.
struct UnderWay<'a> {
    connection: &'a ClientConnection,
    ended: bool,
}

impl<'a> UnderWay<'a> {
    fn begin(connection: &'a ClientConnection) -> Self {
        connection.under_way.fetch_add(1, Ordering::Relaxed);
        Self {
            connection,
            ended: false,
        }
    }

    fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.connection.wire.budget.rest();
        self.connection.under_way.fetch_sub(1, Ordering::Relaxed);
        if !self.ended {
            self.connection.abandon();
        }
    }
}
