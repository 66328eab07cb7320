//! Writing down how clients' databases are, for everybody to see: what the pools find out by
//! themselves, and what a look now and then shows where nobody talks to an instance.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::StreamExt as _;
use stoa_client_db::DatabaseNews;
use stoa_domain::{DatabaseState, InstanceId};
use stoa_platform_db::DbError;
use stoa_platform_db::instances::{self, SeenState};

use crate::App;
use crate::registry::RegistryError;

/// What is new within this time is written as one: a database that comes and goes, or two replicas
/// that see it differently, cost a write in it each, and the last one holds.
const TOGETHER: Duration = Duration::from_secs(2);
/// How often ailing databases are looked for, how long each is left alone, how many are taken at
/// once and how many of them are looked at at the same time.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const LEFT_ALONE: TimeDelta = TimeDelta::seconds(40);
const TAKEN: i64 = 200;
const AT_ONCE: usize = 16;

/// Writes what the pools of this process find out, until shutdown.
pub(crate) async fn note(app: Arc<App>) {
    let mut unwritten: HashMap<InstanceId, DatabaseNews> = HashMap::new();
    loop {
        if unwritten.is_empty() {
            tokio::select! {
                news = app.clients().news() => add(&mut unwritten, news),
                () = app.shutdown().cancelled() => return,
            }
        }
        for news in std::mem::take(&mut unwritten).into_values() {
            if let Err(error) = write(&app, news).await {
                tracing::warn!(instance = %news.instance, %error, "the state of a client's database was not noted yet");
                unwritten.insert(news.instance, news);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(TOGETHER) => {}
            () = app.shutdown().cancelled() => return,
        }
    }
}

fn add(unwritten: &mut HashMap<InstanceId, DatabaseNews>, news: Vec<DatabaseNews>) {
    unwritten.extend(news.into_iter().map(|news| (news.instance, news)));
}

async fn write(app: &App, news: DatabaseNews) -> Result<(), RegistryError> {
    let Some(registered) = app.registered(news.instance).await? else {
        return Ok(());
    };
    let known = &registered.row().database;
    let code = news.fault.map(|fault| fault.code);
    let is_known = known.generation == news.generation
        && known.state == news.state
        && known.error.as_ref().map(|it| it.code.as_str()) == code;
    if is_known {
        return Ok(());
    }
    let seen = SeenState {
        generation: news.generation,
        state: news.state,
        error_code: code,
    };
    put_down(app, news.instance, seen).await
}

async fn put_down(
    app: &App,
    instance: InstanceId,
    seen: SeenState<'_>,
) -> Result<(), RegistryError> {
    let now = app.clock().now();
    let mut connection = app.platform().acquire().await?;
    let is_news = instances::set_database_state(&mut connection, instance, seen, now).await?;
    if is_news {
        tracing::info!(%instance, state = %seen.state, code = seen.error_code, "a client's database is in another state");
        app.read_anew(instance).await;
    }
    Ok(())
}

/// Looks at databases that are not well, until shutdown: where nobody talks to an instance, nothing
/// else would find out that its database is back.
pub(crate) async fn probe(app: Arc<App>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = app.shutdown().cancelled() => return,
        }
        let taken = take(&app).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "ailing databases cannot be looked for");
            Vec::new()
        });
        let looks = futures_util::stream::iter(taken).for_each_concurrent(AT_ONCE, |instance| {
            let app = Arc::clone(&app);
            async move {
                if let Err(error) = look(&app, instance).await {
                    tracing::warn!(%instance, %error, "an ailing database was not looked at");
                }
            }
        });
        tokio::select! {
            () = looks => {}
            () = app.shutdown().cancelled() => return,
        }
    }
}

async fn take(app: &App) -> Result<Vec<InstanceId>, DbError> {
    let now = app.clock().now();
    let mut connection = app.platform().acquire().await?;
    instances::take_ailing(&mut connection, now - LEFT_ALONE, now, TAKEN).await
}

/// Looks at one instance's database and writes down what is seen.
async fn look(app: &App, instance: InstanceId) -> Result<(), RegistryError> {
    let Some(registered) = app.registered(instance).await? else {
        return Ok(());
    };
    let Some(target) = registered.target() else {
        return Ok(());
    };
    let seen = match app.clients().look(target).await {
        Ok(()) => (DatabaseState::Ready, None),
        // Nothing was seen.
        Err(error) if !error.is_outage() || is_ours(&error) => return Ok(()),
        Err(error) => (error.database_state(&target.address), Some(error.code())),
    };
    let seen = SeenState {
        generation: target.generation,
        state: seen.0,
        error_code: seen.1,
    };
    put_down(app, instance, seen).await
}

/// Whether it was for want of a connection of ours that nothing was seen.
const fn is_ours(error: &stoa_client_db::ClientDbError) -> bool {
    matches!(error, stoa_client_db::ClientDbError::Busy)
}
