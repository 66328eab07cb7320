//! Writing down how far a copy has come, while it goes on.

use std::time::Duration;

use serde_json::{Value, json};
use stoa_client_db::moving::Progress;
use stoa_domain::MoveId;
use stoa_platform_db::{DbError, moves};

use crate::App;

const EVERY: Duration = Duration::from_secs(1);

/// Does `work`, noting the progress every second, and calls it off when somebody has given the move
/// up. What cannot be noted is noted a second later.
pub(super) async fn noted<T>(
    app: &App,
    id: MoveId,
    progress: &Progress,
    work: impl Future<Output = T>,
) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            outcome = &mut work => {
                note(app, id, progress).await;
                return outcome;
            }
            () = tokio::time::sleep(EVERY) => note(app, id, progress).await,
        }
    }
}

async fn note(app: &App, id: MoveId, progress: &Progress) {
    match write(app, id, progress).await {
        Ok(true) => progress.call_off(),
        Ok(false) => {}
        Err(error) => tracing::warn!(%id, %error, "the progress of a move was not noted"),
    }
}

async fn write(app: &App, id: MoveId, progress: &Progress) -> Result<bool, DbError> {
    let tables = progress.tables();
    let rows = tables
        .iter()
        .map(|it| json!({ "table": it.table, "copied": it.copied, "of": it.of }));
    let mut connection = app.platform().acquire().await?;
    moves::note_progress(&mut connection, id, &Value::Array(rows.collect())).await
}
