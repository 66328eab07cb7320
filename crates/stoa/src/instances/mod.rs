//! `stoa instance …`: clients' chatbots, as the platform's owner sees them.

mod create;
mod export;
mod migrate;
mod moving;

use std::sync::Arc;

use clap::{Args, Subcommand};
use serde::Serialize;
use stoa_app::access::PlatformCaller;
use stoa_app::database::ConnectError;
use stoa_app::instances::delete::Deleted;
use stoa_app::instances::{self, InstanceError, Wanted};
use stoa_app::{App, ClientDatabase, Instance, fleet};
use stoa_domain::{InstanceId, InstanceStatus, Slug};
use stoa_web::InstanceView;

use crate::command::on_app;
use crate::command_line::ask::Consent;
use crate::command_line::failure::Failure;
use crate::command_line::output::{OutputArguments, table};
use create::CreateArguments;
use export::ExportArguments;
use migrate::MigrateArguments;
use moving::{DropArguments, MoveArguments};

/// How many instances are read at once while listing them all.
const PAGE: u16 = 200;

#[derive(Debug, Subcommand)]
pub(crate) enum InstanceCommand {
    /// Make an instance with its database, and a link for its first admin
    Create(CreateArguments),
    /// List instances, the newest first
    List(ListArguments),
    /// Show one instance
    Show(OneArguments),
    /// Print the generated client configuration as an env file; it holds a password
    Env(OneArguments),
    /// Write everything of an instance into an archive that can be read without Stoa
    Export(ExportArguments),
    /// Let an instance answer nothing until it is resumed
    Suspend(SuspendArguments),
    /// Let a suspended instance go on
    Resume(OneArguments),
    /// Delete an instance for good, and its database if the platform made it
    Delete(DeleteArguments),
    /// Bring an instance's database up to date now
    Migrate(MigrateArguments),
    /// Move an instance's database to another one while it is used, and follow the move
    Move(MoveArguments),
    /// Drop the database that an instance left by its last move
    DropPreviousDatabase(DropArguments),
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// Only those with this status: awaiting_setup, active, suspended or deleting
    #[arg(long)]
    status: Option<InstanceStatus>,
    /// Only those whose name or slug contains this
    #[arg(long)]
    q: Option<String>,
    #[command(flatten)]
    output: OutputArguments,
}

#[derive(Debug, Args)]
pub(crate) struct OneArguments {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    output: OutputArguments,
}

#[derive(Debug, Args)]
pub(crate) struct SuspendArguments {
    #[command(flatten)]
    which: Which,
    /// Why, for the audit log
    #[arg(long, default_value = "suspended on the command line")]
    reason: String,
    #[command(flatten)]
    output: OutputArguments,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArguments {
    #[command(flatten)]
    which: Which,
    /// Do not ask for the slug
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    output: OutputArguments,
}

/// Which instance is meant.
#[derive(Debug, Args)]
struct Which {
    /// The instance's slug, or its id
    #[arg(value_name = "SLUG", value_parser = Name::parse)]
    name: Name,
}

#[derive(Clone, Debug)]
enum Name {
    Slug(Slug),
    Id(InstanceId),
}

#[derive(Serialize)]
struct Listed {
    data: Vec<InstanceView>,
    /// Everything is in `data`; the field is the one that every list has.
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct Removed {
    id: InstanceId,
    slug: String,
    /// False where the rest is done in the background.
    complete: bool,
}

pub(crate) async fn run(command: InstanceCommand) -> Result<(), Failure> {
    match command {
        InstanceCommand::Create(arguments) => create::run(arguments).await,
        InstanceCommand::List(arguments) => list(arguments).await,
        InstanceCommand::Show(OneArguments { which, output }) => {
            let instance = on_app(async |app, caller| which.find(app, caller).await).await?;
            print(output, &instance)
        }
        InstanceCommand::Env(arguments) => env(arguments).await,
        InstanceCommand::Export(arguments) => export::run(arguments).await,
        InstanceCommand::Suspend(SuspendArguments {
            which,
            reason,
            output,
        }) => {
            let instance = on_app(async |app, caller| {
                let id = which.find(app, caller).await?.id;
                instances::suspend(app, caller, id, &reason)
                    .await
                    .map_err(|error| failure(&error))
            });
            print(output, &instance.await?)
        }
        InstanceCommand::Resume(OneArguments { which, output }) => {
            let instance = on_app(async |app, caller| {
                let id = which.find(app, caller).await?.id;
                instances::resume(app, caller, id)
                    .await
                    .map_err(|error| failure(&error))
            });
            print(output, &instance.await?)
        }
        InstanceCommand::Delete(arguments) => delete(arguments).await,
        InstanceCommand::Migrate(arguments) => migrate::run(arguments).await,
        InstanceCommand::Move(arguments) => moving::run(arguments).await,
        InstanceCommand::DropPreviousDatabase(arguments) => moving::drop_previous(arguments).await,
    }
}

async fn list(ListArguments { status, q, output }: ListArguments) -> Result<(), Failure> {
    let found = on_app(async |app, caller| {
        let mut found: Vec<Instance> = Vec::new();
        loop {
            let after = found.last().map(|instance| instance.id);
            let wanted = Wanted {
                status,
                q: q.clone(),
                after,
                limit: PAGE,
            };
            let (page, more) = instances::list(app, caller, wanted)
                .await
                .map_err(|error| failure(&error))?;
            found.extend(page);
            if !more {
                return Ok(found);
            }
        }
    })
    .await?;
    let listed = Listed {
        data: found.iter().map(InstanceView::from).collect(),
        next_cursor: None,
    };
    output.print(&listed, |_| {
        let rows: Vec<[String; 6]> = found.iter().map(row).collect();
        table(["slug", "name", "status", "plan", "database", "id"], &rows)
    })
}

fn row(instance: &Instance) -> [String; 6] {
    let database = &instance.database;
    [
        instance.slug.to_string(),
        instance.name.to_string(),
        instance.status.to_string(),
        instance.plan.clone(),
        format!("{} ({})", database.mode, database.state),
        instance.id.to_string(),
    ]
}

async fn env(OneArguments { which, output }: OneArguments) -> Result<(), Failure> {
    let environment = on_app(async |app, caller| {
        let id = which.find(app, caller).await?.id;
        instances::environment::read(app, caller, id)
            .await
            .map_err(|error| failure(&error))
    })
    .await?;
    output.print(&create::by_name(&environment), |_| {
        environment.to_env_file()
    })
}

async fn delete(DeleteArguments { which, yes, output }: DeleteArguments) -> Result<(), Failure> {
    let consent = Consent::of(yes)?;
    let removed = on_app(async |app, caller| {
        let instance = which.find(app, caller).await?;
        let slug = instance.slug.to_string();
        consent.confirm(&format!("Deleting {slug}"), &slug)?;
        let deleted = instances::delete::delete(app, caller, instance.id)
            .await
            .map_err(|error| failure(&error))?;
        Ok(Removed {
            id: instance.id,
            slug,
            complete: deleted == Deleted::Whole,
        })
    })
    .await?;
    output.print(&removed, |Removed { slug, complete, .. }| {
        if *complete {
            format!("{slug} is deleted.")
        } else {
            format!("{slug} no longer answers; a running server deletes the rest of it.")
        }
    })
}

fn print(output: OutputArguments, instance: &Instance) -> Result<(), Failure> {
    output.print(&InstanceView::from(instance), |_| described(instance))
}

/// An instance, a line for each thing that is known of it.
fn described(instance: &Instance) -> String {
    let facts = &instance.database.facts;
    let time = |at: chrono::DateTime<chrono::Utc>| at.format("%Y-%m-%d %H:%M UTC").to_string();
    let lines = [
        ("name", Some(instance.name.to_string())),
        ("slug", Some(instance.slug.to_string())),
        ("id", Some(instance.id.to_string())),
        ("status", Some(instance.status.to_string())),
        ("plan", Some(instance.plan.clone())),
        ("region", instance.region.clone()),
        (
            "database",
            Some(format!(
                "{} ({})",
                instance.database.mode, instance.database.state
            )),
        ),
        ("host", facts.host.clone()),
        ("postgresql", facts.version.clone()),
        ("pgvector", facts.pgvector.clone()),
        ("schema", schema(&instance.database)),
        ("created", Some(time(instance.created_at))),
        ("activated", instance.activated_at.map(time)),
        ("suspended", instance.suspended_at.map(time)),
        ("because", instance.suspended_reason.clone()),
    ];
    let known = lines
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    known
        .map(|(name, value)| format!("{name:<12}{value}\n"))
        .collect()
}

/// The schema's version, and what keeps it from being the latest.
fn schema(database: &ClientDatabase) -> Option<String> {
    let version = database.facts.schema_version;
    let version = version.map(|it| format!("version {it} of {}", fleet::LATEST));
    match (&database.schema_error, version) {
        (None, version) => version,
        (Some(error), version) => Some(format!(
            "{}; {}: {}",
            version.unwrap_or_else(|| "version unknown".into()),
            error.message,
            error.remedy
        )),
    }
}

impl Which {
    async fn find(&self, app: &Arc<App>, caller: &PlatformCaller) -> Result<Instance, Failure> {
        let found = match &self.name {
            Name::Slug(slug) => instances::find_by_slug(app, caller, slug).await,
            Name::Id(id) => instances::find(app, caller, *id).await,
        };
        found.map_err(|error| failure(&error))
    }
}

impl Name {
    /// No slug can be taken for an id: ids begin with a digit and slugs with a letter.
    fn parse(text: &str) -> Result<Self, stoa_domain::InvalidText> {
        match text.parse() {
            Ok(id) => Ok(Self::Id(id)),
            Err(_) => Slug::parse(text).map(Self::Slug),
        }
    }
}

/// Why a client's own database was not connected, and what to do.
pub(crate) fn of_database(error: &ConnectError) -> Failure {
    match error.failed_check() {
        Some(check) => Failure::new("database_check_failed", check.detail.clone())
            .hint(check.remedy.clone().unwrap_or_default()),
        None => Failure::from_error("database", error),
    }
}

/// What went wrong with an instance, and what to do.
pub(crate) fn failure(error: &InstanceError) -> Failure {
    let failure = |code| Failure::from_error(code, error);
    match error {
        InstanceError::NotFound => {
            failure("not_found").hint("`stoa instance list` shows which there are")
        }
        InstanceError::SlugTaken(_) => failure("slug_taken").hint("choose another --slug"),
        InstanceError::UnknownPlan(_) => failure("unknown_plan"),
        InstanceError::Invalid { field, message } => {
            Failure::new("invalid", format!("{field}: {message}"))
        }
        InstanceError::Status(_) => failure("wrong_status"),
        InstanceError::Dedicated => failure("dedicated_deployment").hint(
            "no instance is made or deleted here; for several, start a deployment with MULTI_TENANT_MODE=true",
        ),
        InstanceError::NoCluster => failure("no_cluster").hint(
            "set STOA_MANAGED_DATABASE_URL, or use --database external for a client with a database of its own",
        ),
        InstanceError::Provisioning(_) | InstanceError::Unfit(_) => {
            failure("provisioning").hint("`stoa doctor` looks at the cluster")
        }
        InstanceError::Database(error) => of_database(error),
        InstanceError::CutOff => failure("cut_off"),
        InstanceError::Registry(_) | InstanceError::Platform(_) => failure("platform_database"),
    }
}
