//! `stoa migrate`: brings the platform database up to date, as a server does when it starts, and
//! with `--clients` every client's database too.

use std::cell::RefCell;
use std::sync::Arc;

use clap::Args;
use stoa_app::access::PlatformCaller;
use stoa_app::fleet::{self, Migrations, Plan, PlannedGroup, Report};
use stoa_app::{App, StartError};
use stoa_domain::Random;
use stoa_platform_db::{DbError, PlatformDb};

use crate::application::{self, COMMAND_CONNECTIONS};
use crate::command::on_app;
use crate::command_line::failure::Failure;
use crate::command_line::output::{self, OutputArguments};
use crate::command_line::progress::Progress;
use crate::databases::Databases;
use crate::dedicated;

/// More databases at once than any one cluster is glad of.
const MOST_AT_ONCE: u16 = 64;
/// How many slugs of a group are named in text; JSON has them all.
const NAMED: usize = 10;

#[derive(Debug, Args)]
pub(crate) struct MigrateArguments {
    /// Every client's database too
    #[arg(long)]
    clients: bool,
    /// Print the SQL that would be run in clients' databases, and change nothing
    #[arg(long, requires = "clients")]
    dry_run: bool,
    /// How many clients' databases are worked on at once
    #[arg(
        long,
        value_name = "N",
        requires = "clients",
        default_value_t = fleet::AT_ONCE as u16,
        value_parser = clap::value_parser!(u16).range(1..=i64::from(MOST_AT_ONCE))
    )]
    concurrency: u16,
    #[command(flatten)]
    output: OutputArguments,
}

/// Migrates; safe beside running servers, and to be run again after it was cut off.
pub(crate) async fn run(arguments: MigrateArguments) -> Result<(), Failure> {
    let MigrateArguments {
        clients,
        dry_run,
        concurrency,
        output,
    } = arguments;
    match (clients, dry_run) {
        (false, _) => platform_only(output).await,
        (true, true) => dry(output).await,
        (true, false) => everyone(usize::from(concurrency), output).await,
    }
}

async fn platform_only(output: OutputArguments) -> Result<(), Failure> {
    on_platform(async |platform| platform.migrate().await).await?;
    output::tell("The platform database is up to date.");
    output.print_json_only(&serde_json::json!({ "platform": "up_to_date" }))
}

async fn everyone(at_once: usize, output: OutputArguments) -> Result<(), Failure> {
    let report = on_app(async |app, caller| bring_up_to_date(app, caller, at_once).await).await?;
    // The report is the result even when it is a bad one, so it goes to standard output.
    output.print(&report, described)?;
    match report.failed.len() {
        0 => Ok(()),
        failed => Err(Failure::new(
            "clients_not_migrated",
            format!("{failed} of the clients' databases are not up to date; the others are"),
        )
        .hint("do what stands beside each, then run `stoa migrate --clients` again")),
    }
}

async fn bring_up_to_date(
    app: &Arc<App>,
    caller: &PlatformCaller,
    at_once: usize,
) -> Result<Report, Failure> {
    // Told by several workers of one task, one at a time.
    let line = RefCell::new(Progress::new("Migrating clients' databases"));
    let migrated = fleet::bring_up_to_date(app, caller, at_once, |progress| {
        let fleet::Progress { done, failed, of } = progress;
        line.borrow_mut()
            .show(|| format!("{done} of {of}, {failed} failed"));
    });
    migrated
        .await
        .map_err(|error| application::start_failure(&StartError::Platform(error)))
}

async fn dry(output: OutputArguments) -> Result<(), Failure> {
    let plan = on_platform(async |platform| {
        // A platform database without any table has no clients either.
        if platform.is_empty().await? {
            return Ok(Plan::empty(&Migrations::shipped()));
        }
        fleet::plan(platform, &Migrations::shipped()).await
    })
    .await?;
    output.print(&plan, |plan| {
        let mut text: String = plan.groups.iter().map(planned).collect();
        text.push_str(&format!(
            "-- {} are at version {} already; {} have no database.\n",
            count(plan.up_to_date, "database"),
            plan.latest,
            count(plan.skipped, "instance"),
        ));
        text
    })
}

async fn on_platform<T>(
    work: impl AsyncFnOnce(&PlatformDb) -> Result<T, DbError>,
) -> Result<T, Failure> {
    let configuration = crate::configuration()?;
    let databases = Databases::open_beside(&configuration, &Random::system()).await?;
    let worked = async {
        let (url, authority) = (databases.platform(), databases.platform_ca());
        let platform = PlatformDb::connect_verified(url, authority, COMMAND_CONNECTIONS).await?;
        let worked = work(&platform).await;
        platform.close().await;
        worked
    };
    let worked = worked
        .await
        .map_err(|error| dedicated::with_schema_sql(&StartError::Platform(error), &databases));
    databases.stop().await?;
    worked
}

/// A group's SQL, with whose it would be run in above it.
pub(crate) fn planned(group: &PlannedGroup) -> String {
    let named = group.slugs.iter().take(NAMED).cloned().collect::<Vec<_>>();
    let more = match group.slugs.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let of = format!(
        "-- {} at version {}: {}{more}\n",
        count(group.slugs.len(), "database"),
        group.version,
        named.join(", "),
    );
    if group.sql.is_empty() {
        return format!("{of}-- Nothing is missing.\n");
    }
    format!("{of}{}\n", group.sql)
}

fn described(report: &Report) -> String {
    let mut text = format!(
        "{} migrated, {} up to date already, {} failed, {} skipped without a database\n",
        report.migrated,
        report.up_to_date,
        report.failed.len(),
        report.skipped,
    );
    for failed in &report.failed {
        text.push_str(&format!(
            "\n{}: {}: {}\n",
            failed.slug, failed.code, failed.message
        ));
        for line in failed.remedy.lines() {
            text.push_str(&format!("  {line}\n"));
        }
    }
    text
}

fn count(number: usize, thing: &str) -> String {
    match number {
        1 => format!("1 {thing}"),
        number => format!("{number} {thing}s"),
    }
}
