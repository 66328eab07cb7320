//! The sweep: databases that nobody has used since an upgrade, a few at a time, those that were
//! used last before others.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use stoa_platform_db::DbError;

use super::attempt::{self, Outcome, Wanted};
use crate::App;

/// How often databases that are behind are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How many databases one process works on at once.
const AT_ONCE: usize = 4;
/// How many of them may be at one host, over all processes: a cluster with a thousand databases
/// has its chats to serve meanwhile.
const PER_HOST: i64 = 1;

/// Sweeps until shutdown, beginning at once.
pub(crate) async fn run(app: Arc<App>) {
    loop {
        if let Err(error) = sweep_due(&app).await {
            tracing::error!(%error, "the schemas of clients' databases could not be swept");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = app.shutdown().cancelled() => return,
        }
    }
}

/// Tries every database that is due, and returns when none is.
///
/// # Errors
/// When the platform's database fails.
pub async fn sweep_due(app: &App) -> Result<(), DbError> {
    let workers = join_all((0..AT_ONCE).map(|_| worker(app))).await;
    workers.into_iter().collect()
}

async fn worker(app: &App) -> Result<(), DbError> {
    let wanted = Wanted {
        per_host: PER_HOST,
        tried_before: None,
        gentle: true,
    };
    while !app.shutdown().is_cancelled() {
        let Some(lease) = attempt::claim(app, wanted).await? else {
            break;
        };
        if let Outcome::Failed(trouble) = attempt::carry_out(app, &lease).await? {
            attempt::log(lease.instance, &trouble);
        }
    }
    Ok(())
}
