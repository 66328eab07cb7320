//! `stoa instance migrate`: one client's database, now.

use clap::Args;
use serde::Serialize;
use stoa_app::fleet::{self, FleetError};

use super::Which;
use crate::command::on_app;
use crate::command_line::failure::Failure;
use crate::command_line::output::OutputArguments;
use crate::migrate::planned;

#[derive(Debug, Args)]
pub(crate) struct MigrateArguments {
    #[command(flatten)]
    which: Which,
    /// Print the SQL that would be run, and change nothing in the client's database
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputArguments,
}

#[derive(Serialize)]
struct Migrated {
    slug: String,
    /// The version that was found; 0 where there was no schema.
    from: i32,
    /// The version that is there now.
    to: i32,
}

pub(super) async fn run(arguments: MigrateArguments) -> Result<(), Failure> {
    let MigrateArguments {
        which,
        dry_run,
        output,
    } = arguments;
    if dry_run {
        let plan = on_app(async |app, caller| {
            let id = which.find(app, caller).await?.id;
            let plan = fleet::plan_of(app, caller, id).await;
            plan.map_err(|error| failure(&error))
        });
        return output.print(&plan.await?, planned);
    }
    let migrated = on_app(async |app, caller| {
        let instance = which.find(app, caller).await?;
        let change = fleet::migrate(app, caller, instance.id).await;
        let change = change.map_err(|error| failure(&error))?;
        Ok(Migrated {
            slug: instance.slug.to_string(),
            from: change.from,
            to: change.to,
        })
    });
    output.print(&migrated.await?, |Migrated { slug, from, to }| {
        if from == to {
            format!("{slug} is at schema version {to} already.")
        } else {
            format!("{slug} is at schema version {to} now; it was at {from}.")
        }
    })
}

fn failure(error: &FleetError) -> Failure {
    let of = |code| Failure::from_error(code, error);
    match error {
        FleetError::NotFound => of("not_found").hint("`stoa instance list` shows which there are"),
        FleetError::Unset => of("database_not_set"),
        FleetError::UnderWay => of("migration_under_way").hint("try again in a minute"),
        FleetError::Failed(trouble) => {
            Failure::named(trouble.code.clone(), trouble.message.clone())
                .hint(trouble.remedy.clone())
        }
        FleetError::Database(error) => Failure::from_error(error.code(), error)
            .hint("is the client's database up, and does it let Stoa in?"),
        FleetError::Registry(_) | FleetError::Platform(_) => of("platform_database"),
    }
}
