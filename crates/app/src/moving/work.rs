//! The job that carries a move out. Whatever an earlier attempt has done is found in the two
//! databases themselves, so it can be cut off anywhere and taken up again.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;
use stoa_client_db::moving::{self, Departure, MovingError, Plan, Progress, Ticket, be_patient};
use stoa_domain::{InstanceStatus, MoveId};
use stoa_platform_db::jobs::Job;
use stoa_platform_db::moves::{self, Ending, Move, MovePhase};
use stoa_platform_db::{DbError, PgConnection};

use super::ready::{self, NotReady};
use super::run::Run;
use super::{apart, give_up, report, switch, told};
use crate::App;
use crate::audit::{self, By, Deed};
use crate::registry::Registered;
use crate::work::JobError;

/// The kind of job that carries a move out.
pub(crate) const KIND: &str = "database.move";

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "move")]
    id: MoveId,
}

/// What keeps an attempt from its end.
pub(super) enum Broken {
    /// One of the two databases, or what is in them.
    Moving(MovingError),
    /// Something else.
    Job(JobError),
}

impl From<MovingError> for Broken {
    fn from(error: MovingError) -> Self {
        Self::Moving(error)
    }
}

impl From<DbError> for Broken {
    fn from(error: DbError) -> Self {
        Self::Job(retry(&error))
    }
}

/// Carries a move on from wherever it is.
pub(crate) async fn perform(app: &Arc<App>, job: &Job) -> Result<(), JobError> {
    let payload = serde_json::from_value(job.payload.clone());
    let Payload { id } = payload.map_err(|error| JobError::Hopeless(error.to_string()))?;
    let found = find(app, id).await?;
    let Some(found) = found.filter(|it| !it.phase.is_over()) else {
        return Ok(());
    };
    app.read_anew(found.instance).await;
    let registered = app.registered(found.instance).await;
    let registered = registered.map_err(|error| retry(&error))?;
    let Some(registered) = registered.filter(|it| it.status() != InstanceStatus::Deleting) else {
        return over(app, &found, MovePhase::Cancelled).await;
    };
    if found.phase == MovePhase::Switched {
        return settle(app, &registered, &found).await;
    }
    if found.ends_as.is_some() {
        return end(app, &registered, &found).await;
    }
    match Box::pin(carry_out(app, job, &registered, &found)).await {
        Ok(()) => Ok(()),
        Err(broken) => broke(app, job, &registered, &found, broken).await,
    }
}

/// Sees to it that a move whose job was tried too often is taken up again, if only to end it.
pub(crate) async fn enqueue_forgotten(app: &App) -> Result<(), DbError> {
    let mut connection = app.platform().acquire().await?;
    for (id, instance) in moves::without_job(&mut connection, KIND).await? {
        let now = app.clock().now();
        super::begin::enqueue(app, &mut connection, id, instance, now).await?;
    }
    Ok(())
}

async fn carry_out(
    app: &App,
    job: &Job,
    registered: &Registered,
    found: &Move,
) -> Result<(), Broken> {
    let target = registered.target();
    let target = target.ok_or_else(|| JobError::Hopeless("it has no database".into()));
    let target = target.map_err(Broken::Job)?;
    let source = apart(app, found.instance, &target.address).await;
    let mut source = source.map_err(MovingError::Source)?;
    be_patient(&mut source);
    let state = moving::state(&source).await.map_err(MovingError::Source)?;
    if state == Departure::Departed(found.id) {
        drop(source);
        return arrive(app, registered, found).await.map_err(Broken::Job);
    }
    if matches!(state, Departure::Departed(_)) {
        let why = "the present database was moved away from before";
        return Err(Broken::Job(JobError::Hopeless(why.into())));
    }
    advance(app, found, MovePhase::Preparing).await?;
    let destination = ready::destination(app, registered, found).await;
    let mut destination = destination.map_err(|error| match error {
        NotReady::Database(error) => Broken::Moving(MovingError::Destination(error)),
        NotReady::Job(error) => Broken::Job(error),
    })?;
    be_patient(&mut destination);
    let plan = Plan::between(&source, &destination).await?;
    let run = Run {
        app,
        found,
        plan,
        ticket: Ticket {
            id: found.id,
            token: job.held.fencing_token,
        },
        progress: Progress::default(),
    };
    let work = run.to_the_brink(&mut source, &mut destination);
    let check = report::noted(app, found.id, &run.progress, work).await?;
    run.leave(job, &mut source, &mut destination, check).await?;
    drop((source, destination));
    let found = find(app, found.id).await.map_err(Broken::Job)?;
    let found = found.ok_or_else(|| Broken::Job(JobError::Hopeless("the move is gone".into())))?;
    arrive(app, registered, &found).await.map_err(Broken::Job)
}

/// The database that was left is closed: the instance gets its new one.
async fn arrive(app: &App, registered: &Registered, found: &Move) -> Result<(), JobError> {
    if let Err(error) = switch::switch(app, registered, found).await {
        let now = find(app, found.id).await?;
        if !now.is_some_and(|it| it.phase == MovePhase::Switched || it.phase.is_over()) {
            return Err(retry(&error));
        }
    }
    app.read_anew(found.instance).await;
    let registered = app.registered(found.instance).await;
    let registered = registered.map_err(|error| retry(&error))?;
    match registered {
        Some(registered) => settle(app, &registered, found).await,
        None => Ok(()),
    }
}

/// Takes the traces of the arrival out of the database that is in use now.
async fn settle(app: &App, registered: &Registered, found: &Move) -> Result<(), JobError> {
    let connection = app.checkout(registered).await;
    let connection = connection.map_err(|error| retry(&error))?;
    let closed = moving::close_arrival(&connection).await;
    closed.map_err(|error| retry(&error))?;
    over(app, found, MovePhase::Done).await
}

/// Ends a move that was given up.
async fn end(app: &App, registered: &Registered, found: &Move) -> Result<(), JobError> {
    if !give_up::take_back(app, registered, found).await? {
        return arrive(app, registered, found).await;
    }
    let phase = match found.ends_as {
        Some(Ending::Failed) => MovePhase::Failed,
        Some(Ending::Cancelled) | None => MovePhase::Cancelled,
    };
    over(app, found, phase).await
}

/// What becomes of an attempt that did not get to the end: visitors go on at once, what went wrong
/// is told, and it is tried again where that may help.
async fn broke(
    app: &Arc<App>,
    job: &Job,
    registered: &Registered,
    found: &Move,
    broken: Broken,
) -> Result<(), JobError> {
    let (code, text, may_help) = match &broken {
        Broken::Moving(error) => {
            let (code, text) = told(error);
            let hopeless = matches!(
                error,
                MovingError::NotEmpty { .. } | MovingError::Differs { .. }
            );
            (code, text, !hopeless)
        }
        Broken::Job(JobError::Retry(text)) => ("move_interrupted", text.clone(), true),
        Broken::Job(JobError::Hopeless(text)) => ("move_impossible", text.clone(), false),
    };
    if let Broken::Moving(MovingError::Superseded) = &broken {
        return Err(JobError::Retry(text));
    }
    let failed = |error: DbError| retry(&error);
    let mut connection = app.platform().acquire().await.map_err(failed)?;
    let instance = found.instance;
    moves::pause(&mut connection, instance, None)
        .await
        .map_err(failed)?;
    if let Broken::Moving(MovingError::CalledOff) = &broken {
        drop(connection);
        let found = find(app, found.id).await?;
        return match found.filter(|it| !it.phase.is_over()) {
            Some(found) => end(app, registered, &found).await,
            None => Ok(()),
        };
    }
    let id = found.id;
    let told = Some((code, text.as_str()));
    moves::note_error(&mut connection, id, told)
        .await
        .map_err(failed)?;
    if may_help && job.attempt < job.max_attempts {
        return Err(JobError::Retry(text));
    }
    give_up_for_good(app, &mut connection, found, code)
        .await
        .map_err(failed)?;
    drop(connection);
    match find(app, id).await? {
        Some(found) => end(app, registered, &found).await,
        None => Ok(()),
    }
}

async fn give_up_for_good(
    app: &App,
    connection: &mut PgConnection,
    found: &Move,
    code: &str,
) -> Result<(), DbError> {
    let now = app.clock().now();
    // Should it have been about to switch: the present database is asked before anything else.
    moves::advance(connection, found.id, MovePhase::CatchingUp, now).await?;
    moves::end_as(connection, found.id, Ending::Failed, KIND, now).await?;
    let details = json!({ "move": found.id, "code": code });
    let deed = Deed::on_instance("instance.database_move_failed", found.instance, details);
    audit::record(app, connection, By::system(), deed).await
}

pub(super) async fn advance(app: &App, found: &Move, to: MovePhase) -> Result<(), Broken> {
    let mut connection = app.platform().acquire().await?;
    if moves::advance(&mut connection, found.id, to, app.clock().now()).await? {
        return Ok(());
    }
    Err(MovingError::CalledOff.into())
}

async fn over(app: &App, found: &Move, phase: MovePhase) -> Result<(), JobError> {
    let mut connection = app
        .platform()
        .acquire()
        .await
        .map_err(|error| retry(&error))?;
    let now = app.clock().now();
    moves::finish(&mut connection, found.id, phase, now)
        .await
        .map_err(|error| retry(&error))?;
    tracing::info!(instance = %found.instance, phase = phase.as_str(), "a move of a database is over");
    Ok(())
}

async fn find(app: &App, id: MoveId) -> Result<Option<Move>, JobError> {
    let mut connection = app
        .platform()
        .acquire()
        .await
        .map_err(|error| retry(&error))?;
    moves::find(&mut connection, id)
        .await
        .map_err(|error| retry(&error))
}

fn retry(error: &dyn std::error::Error) -> JobError {
    JobError::Retry(error.to_string())
}
