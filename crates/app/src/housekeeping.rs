//! Clearing away what is over in the platform's database: sessions, kept answers, cached values,
//! finished jobs. And taking up moves that no job carries on. Every replica does it now and then; twice does no harm.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use stoa_platform_db::{DbError, budgets, cache_entries, idempotency_keys, jobs, user_sessions};

use crate::{App, moving};

const EVERY: Duration = Duration::from_secs(15 * 60);
/// For how long a finished or dead job can be looked at.
const JOBS_KEPT: TimeDelta = TimeDelta::days(14);
/// For how long a reservation that has ended waits for a sweep that counts its answer.
const RESERVATIONS_KEPT: TimeDelta = TimeDelta::days(1);

/// Clears away at once and then every quarter of an hour, until shutdown.
pub(crate) async fn run(app: Arc<App>) {
    loop {
        if let Err(error) = clear_away(&app).await {
            tracing::warn!(%error, "what is over was not cleared away; it is tried again");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = app.shutdown().cancelled() => return,
        }
    }
}

async fn clear_away(app: &App) -> Result<(), DbError> {
    let now = app.clock().now();
    let mut connection = app.platform().acquire().await?;
    user_sessions::purge(&mut connection, now).await?;
    idempotency_keys::purge(&mut connection, now).await?;
    cache_entries::expire(&mut connection, now).await?;
    jobs::purge_finished(&mut connection, now - JOBS_KEPT).await?;
    budgets::purge(&mut connection, now, now - RESERVATIONS_KEPT).await?;
    drop(connection);
    moving::enqueue_forgotten(app).await
}
