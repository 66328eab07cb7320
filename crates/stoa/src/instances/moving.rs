//! `stoa instance move` and `stoa instance drop-previous-database`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use secrecy::SecretString;
use serde::Serialize;
use stoa_app::App;
use stoa_app::access::PlatformCaller;
use stoa_app::database::{NewAddress, SupabaseProject};
use stoa_app::moving::{self, Begun, Kept, Move, MoveError, MovePhase, To};
use stoa_domain::InstanceId;
use stoa_web::{InstanceView, MoveView};

use super::{Which, create, of_database};
use crate::command::on_app;
use crate::command_line::ask::Consent;
use crate::command_line::failure::Failure;
use crate::command_line::output::OutputArguments;
use crate::command_line::progress::Progress;

/// How often is looked how far it has come.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(crate) struct MoveArguments {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    to: Place,
    /// A file with the certificate authority of that database's server, in PEM form, where no public
    /// authority has signed its certificate
    #[arg(long, value_name = "FILE", requires = "database_url")]
    database_ca: Option<PathBuf>,
    /// Begin it and do not wait: a running server carries it out
    #[arg(long)]
    detach: bool,
    #[command(flatten)]
    output: OutputArguments,
}

/// Where to move.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// To the client's own database at this address
    #[arg(long, value_name = "URL")]
    database_url: Option<SecretString>,
    /// To a new one on the platform's cluster
    #[arg(long)]
    managed: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DropArguments {
    #[command(flatten)]
    which: Which,
    /// Leave it as it is and forget its address, where it cannot be reached any more
    #[arg(long)]
    forget: bool,
    /// Do not ask for the slug
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    output: OutputArguments,
}

/// What came of it: the move, or the instance where nothing had to be moved.
#[derive(Serialize)]
struct Outcome {
    #[serde(rename = "move", skip_serializing_if = "Option::is_none")]
    latest: Option<MoveView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<InstanceView>,
}

pub(crate) async fn run(arguments: MoveArguments) -> Result<(), Failure> {
    let MoveArguments {
        which,
        to,
        database_ca,
        detach,
        output,
    } = arguments;
    let authority = database_ca.as_deref().map(create::certificates);
    let to = match to.database_url {
        Some(url) => To::External(NewAddress {
            url,
            ca_certificate: authority.transpose()?,
            supabase: SupabaseProject::default(),
        }),
        None => To::Managed,
    };
    let outcome = on_app(async |app, caller| {
        let id = which.find(app, caller).await?.id;
        let begun = moving::begin_for(app, caller, id, to).await;
        match begun.map_err(|error| failure(&error))? {
            Begun::Connected(connected) => Ok(Outcome {
                latest: None,
                instance: Some(InstanceView::from(connected.registered.row())),
            }),
            Begun::Moving(begun) if detach => Ok(of_move(*begun)),
            Begun::Moving(_) => followed(app, caller, id).await,
        }
    })
    .await?;
    output.print(&outcome, |outcome| match &outcome.latest {
        Some(latest) => format!("The move is {}.", latest.line()),
        None => "There was nothing to move: the database is connected.".to_owned(),
    })
}

pub(crate) async fn drop_previous(arguments: DropArguments) -> Result<(), Failure> {
    let DropArguments {
        which,
        forget,
        yes,
        output,
    } = arguments;
    let consent = Consent::of(yes)?;
    let outcome = on_app(async |app, caller| {
        let instance = which.find(app, caller).await?;
        let slug = instance.slug.to_string();
        consent.confirm(&format!("Dropping the database that {slug} left"), &slug)?;
        let kept = if forget { Kept::Forget } else { Kept::Drop };
        let found = moving::drop_previous_for(app, caller, instance.id, kept).await;
        found.map(of_move).map_err(|error| failure(&error))
    })
    .await?;
    output.print(&outcome, |_| "It is dropped.".to_owned())
}

/// Does the work here, unless a running server has taken it, and waits until it is over.
async fn followed(
    app: &Arc<App>,
    caller: &PlatformCaller,
    instance: InstanceId,
) -> Result<Outcome, Failure> {
    let mut progress = Progress::new("Moving the database");
    let worker = Arc::clone(app);
    let working = app
        .tasks()
        .spawn(async move { stoa_app::run_due_moves(&worker).await });
    loop {
        let latest = moving::latest_for(app, caller, instance).await;
        let latest = latest.map_err(|error| failure(&error))?;
        let latest = latest.ok_or_else(|| failure(&MoveError::None))?;
        if latest.phase.is_over() {
            working.abort();
            return over(latest);
        }
        progress.show(|| MoveView::from(latest).line());
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn over(latest: Move) -> Result<Outcome, Failure> {
    let phase = latest.phase;
    let outcome = of_move(latest);
    if phase == MovePhase::Done {
        return Ok(outcome);
    }
    let why = outcome.latest.as_ref().and_then(MoveView::failure);
    let (detail, remedy) = why.unwrap_or(("it was called off", ""));
    let text = format!("the database was not moved: {detail}");
    Err(Failure::new("database_not_moved", text).hint(remedy))
}

fn of_move(found: Move) -> Outcome {
    Outcome {
        latest: Some(found.into()),
        instance: None,
    }
}

fn failure(error: &MoveError) -> Failure {
    match error {
        MoveError::Connect(error) => of_database(error),
        MoveError::PreviousKept => Failure::from_error("previous_database_kept", error)
            .hint("drop it first: stoa instance drop-previous-database SLUG"),
        MoveError::NoCluster => {
            Failure::from_error("no_cluster", error).hint("set STOA_MANAGED_DATABASE_URL")
        }
        MoveError::UnderWay => {
            Failure::from_error("database_move_under_way", error).hint("wait until it is over")
        }
        error => Failure::from_error("database_move", error),
    }
}
