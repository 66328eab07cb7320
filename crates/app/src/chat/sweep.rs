//! Mending what a crash left: answers without a writer are made final as they stand, and finished
//! ones that were not counted are counted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future;
use futures_util::stream::{self, StreamExt as _};
use stoa_client_db::messages::{self, MeteredAnswer};
use stoa_client_db::{PageRequest, tool_calls};
use stoa_domain::InstanceId;
use stoa_platform_db::DbError;
use stoa_platform_db::budgets::Amount;
use stoa_platform_db::instances::{self, SweepRule};
use stoa_platform_db::usage_events::{self, Spent, UsageKind};

use super::replay::STALE_AFTER;
use crate::App;
use crate::database::DatabaseError;
use crate::documents::indexing;
use crate::meter::{self, Metered};
use crate::registry::{Registered, RegistryError};

/// How often due instances are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How many are swept at once: databases that fail keep nobody waiting but each other.
const AT_ONCE: usize = 32;
/// How many instances are looked at in one go: more than can have failing databases at once.
const IN_ONE_LOOK: i64 = 1_000;
/// How long an instance whose sweep failed is left alone.
const REST: Duration = Duration::from_secs(60);
/// One instance is swept at most so often, and until well after its last answer can have ended:
/// an answer takes at most ten minutes. What a crash cut is closed within a minute: it is taken for
/// deserted after [`STALE_AFTER`], and the next sweep comes at most this and one look later.
const RULE: SweepRule = SweepRule {
    every: TimeDelta::seconds(25),
    after_activity: TimeDelta::minutes(15),
};
/// Answers that ended this long before the last sweep are compared again, in case the clocks of
/// two replicas differ.
const OVERLAP: TimeDelta = TimeDelta::minutes(20);
/// How long whoever wrote an answer is given to count it, where its database is shared.
const WRITERS_TIME: TimeDelta = TimeDelta::minutes(1);
const PAGE: u16 = 200;
/// How many characters are a token, where nobody counted.
const CHARACTERS_A_TOKEN: i64 = 3;

/// Why an instance was not swept this time.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The platform's database.
    #[error("the platform's database failed")]
    Platform(#[from] DbError),
    /// The registry.
    #[error("the instance could not be looked up")]
    Registry(#[from] RegistryError),
    /// The client's database.
    #[error("the client's database failed")]
    Database(#[from] DatabaseError),
}

/// Sweeps until shutdown, beginning at once: what a crash left is mended by the next start.
pub async fn run(app: Arc<App>) {
    let mut resting = Resting::default();
    loop {
        if let Err(error) = sweep_due(&app, &mut resting).await {
            tracing::error!(%error, "no instance could be swept");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = app.shutdown().cancelled() => return,
        }
    }
}

/// Instances whose sweep failed, and since when: they are still due, and tried again after a rest.
#[derive(Default)]
struct Resting(HashMap<InstanceId, Instant>);

impl Resting {
    fn is_resting(&mut self, instance: InstanceId) -> bool {
        self.0.retain(|_, since| since.elapsed() < REST);
        self.0.contains_key(&instance)
    }
}

async fn sweep_due(app: &Arc<App>, resting: &mut Resting) -> Result<(), DbError> {
    let mut due = {
        let mut connection = app.platform().acquire().await?;
        instances::due_for_sweep(&mut connection, RULE, app.clock().now(), IN_ONE_LOOK).await?
    };
    due.retain(|instance| !resting.is_resting(*instance));
    let mut swept = stream::iter(due)
        .take_while(|_| future::ready(!app.shutdown().is_cancelled()))
        .map(|instance| async move { (instance, sweep_and_mark(app, instance).await) })
        .buffer_unordered(AT_ONCE);
    while let Some((instance, swept)) = swept.next().await {
        if let Err(error) = swept {
            tracing::warn!(%instance, %error, "an instance was not swept; it is tried again");
            resting.0.insert(instance, Instant::now());
        }
    }
    Ok(())
}

async fn sweep_and_mark(app: &App, instance: InstanceId) -> Result<(), SweepError> {
    sweep(app, instance).await?;
    let mut connection = app.platform().acquire().await?;
    instances::mark_swept(&mut connection, instance, app.clock().now()).await?;
    Ok(())
}

/// Sweeps one instance, due or not.
///
/// # Errors
/// When a database fails; the next sweep makes it good.
pub async fn sweep(app: &App, instance: InstanceId) -> Result<(), SweepError> {
    let Some(registered) = app.registered(instance).await? else {
        return Ok(());
    };
    close_deserted(app, &registered).await?;
    indexing::requeue_lost(app, &registered).await?;
    let since = registered
        .row()
        .swept_at
        .unwrap_or(registered.row().created_at)
        - OVERLAP;
    count_uncounted(app, &registered, since).await
}

/// Makes final what nobody writes any more, and gives up the calls of tools that it waited for.
async fn close_deserted(app: &App, registered: &Registered) -> Result<(), DatabaseError> {
    let now = app.clock().now();
    let stale = now - TimeDelta::from_std(STALE_AFTER).unwrap_or_default();
    let connection = app.checkout(registered).await?;
    let closed = messages::interrupt_stale(&connection, stale, now).await?;
    tool_calls::abandon_orphans(&connection, now).await?;
    if !closed.is_empty() {
        tracing::info!(instance = %registered.id(), answers = closed.len(), "answers without a writer were closed");
    }
    Ok(())
}

async fn count_uncounted(
    app: &App,
    registered: &Registered,
    since: DateTime<Utc>,
) -> Result<(), SweepError> {
    let mut request = PageRequest {
        limit: PAGE,
        after: None,
    };
    loop {
        let page = {
            let connection = app.checkout(registered).await?;
            messages::finished_since(&connection, since, &request)
                .await
                .map_err(DatabaseError::from)?
        };
        let answers = uncounted_by_others(app, registered, page.data).await?;
        let events: Vec<_> = answers
            .into_iter()
            .map(|answer| meter::event(&metered(registered.id(), answer)))
            .collect();
        meter::insert(app.platform(), app.clock(), &events).await?;
        match page.next_cursor {
            Some(cursor) => request.after = Some(cursor),
            None => return Ok(()),
        }
    }
}

/// Without those that another instance has been charged for. Instances share a database only where the
/// operator allows it, and then an answer is in the sweeps of both; it is counted for whoever wrote
/// it, who has the time to do so first.
async fn uncounted_by_others(
    app: &App,
    registered: &Registered,
    mut answers: Vec<MeteredAnswer>,
) -> Result<Vec<MeteredAnswer>, DbError> {
    if app.settings().client_isolation {
        return Ok(answers);
    }
    let latest = app.clock().now() - WRITERS_TIME;
    answers.retain(|answer| answer.finished_at < latest);
    let ids: Vec<_> = answers.iter().map(|answer| answer.id).collect();
    let mut connection = app.platform().acquire().await?;
    let counted = usage_events::counted_for_others(&mut connection, registered.id(), &ids).await?;
    answers.retain(|answer| !counted.contains(&answer.id));
    Ok(answers)
}

fn metered(instance: InstanceId, answer: MeteredAnswer) -> Metered {
    Metered {
        spent: Spent::Guessed(guess(&answer)),
        instance,
        message: answer.id,
        kind: UsageKind::Answer,
        model: answer.model.unwrap_or_default(),
        input_tokens: answer.input_tokens,
        output_tokens: answer.output_tokens,
        cost_micros: answer.cost_micros,
        at: answer.finished_at,
    }
}

/// What an answer took, whose writer did not live to say it, where nothing was reserved for it: at
/// least what came.
fn guess(answer: &MeteredAnswer) -> Amount {
    let came = i64::from(answer.characters) / CHARACTERS_A_TOKEN + 1;
    Amount {
        tokens: answer.input_tokens.unwrap_or(0) + answer.output_tokens.unwrap_or(came),
        micros: answer.cost_micros,
    }
}
