//! Every client's database, at an operator's word.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::json;
use stoa_platform_db::DbError;
use stoa_platform_db::instances::{self, Laggard, SchemaLease, SchemaStanding};

use super::attempt::{self, Outcome, Wanted};
use crate::App;
use crate::access::PlatformCaller;
use crate::audit::{self, Deed};

/// How often it is looked whether the others have finished what they hold.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// More failures than anybody reads.
const MOST_FAILURES: i64 = 10_000;

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Databases that were tried.
    pub done: usize,
    /// Of those, the ones that failed.
    pub failed: usize,
    /// Databases that were behind at the beginning.
    pub of: usize,
}

/// How it ended.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Databases that were at the latest version already.
    pub up_to_date: usize,
    /// Databases that were brought to it by this run.
    pub migrated: usize,
    /// Databases that are still behind, and why.
    pub failed: Vec<Failed>,
    /// Instances without a database, or being deleted.
    pub skipped: usize,
}

/// One database that is still behind.
#[derive(Clone, Debug, Serialize)]
pub struct Failed {
    /// Whose.
    pub slug: String,
    /// A stable word.
    pub code: String,
    /// What went wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// What the workers of one run share.
struct Run<'a, F> {
    app: &'a App,
    began: DateTime<Utc>,
    at_once: usize,
    behind: usize,
    migrated: AtomicUsize,
    failed: AtomicUsize,
    tell: F,
}

/// Tries every database that is behind once, `at_once` at a time, whether it rests after a failure
/// or not, and tells of each. Safe beside running servers and beside itself, and after it was killed.
///
/// # Errors
/// When the platform's database fails.
pub async fn bring_up_to_date(
    app: &App,
    caller: &PlatformCaller,
    at_once: usize,
    tell: impl Fn(Progress),
) -> Result<Report, DbError> {
    let run = Run {
        app,
        began: app.clock().now(),
        at_once: at_once.max(1),
        behind: to_count(standing(app).await?.behind),
        migrated: AtomicUsize::new(0),
        failed: AtomicUsize::new(0),
        tell,
    };
    let workers = join_all((0..run.at_once).map(|_| run.work())).await;
    workers.into_iter().collect::<Result<(), DbError>>()?;
    let report = run.report().await?;
    if report.migrated > 0 || !report.failed.is_empty() {
        let mut transaction = app.platform().begin().await?;
        let deed = Deed {
            action: "fleet.migrated",
            target_kind: "fleet",
            target_id: "all".into(),
            instance: None,
            reason: None,
            details: json!({ "migrated": report.migrated, "failed": report.failed.len() }),
        };
        audit::record(app, &mut transaction, caller, deed).await?;
        transaction.commit().await.map_err(DbError::from)?;
    }
    Ok(report)
}

impl<F: Fn(Progress)> Run<'_, F> {
    async fn work(&self) -> Result<(), DbError> {
        while !self.app.shutdown().is_cancelled() {
            match self.claim().await? {
                Some(lease) => self.attempt(&lease).await?,
                // Others are at the rest, or were until they died: then their leases end soon.
                None if standing(self.app).await?.under_way > 0 => {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                None => break,
            }
        }
        Ok(())
    }

    async fn claim(&self) -> Result<Option<SchemaLease>, DbError> {
        let wanted = Wanted {
            per_host: i64::try_from(self.at_once).unwrap_or(i64::MAX),
            tried_before: Some(self.began),
            gentle: false,
        };
        attempt::claim(self.app, wanted).await
    }

    async fn attempt(&self, lease: &SchemaLease) -> Result<(), DbError> {
        match attempt::carry_out(self.app, lease).await? {
            Outcome::Done(_) => self.migrated.fetch_add(1, Ordering::Relaxed),
            Outcome::Failed(_) => self.failed.fetch_add(1, Ordering::Relaxed),
            Outcome::GivenUp => return Ok(()),
        };
        let migrated = self.migrated.load(Ordering::Relaxed);
        let failed = self.failed.load(Ordering::Relaxed);
        (self.tell)(Progress {
            done: migrated + failed,
            failed,
            of: self.behind.max(migrated + failed),
        });
        Ok(())
    }

    async fn report(&self) -> Result<Report, DbError> {
        let standing = standing(self.app).await?;
        let latest = self.app.clients().migrations().latest();
        let mut connection = self.app.platform().acquire().await?;
        let laggards = instances::schema_laggards(&mut connection, latest, MOST_FAILURES).await?;
        let migrated = self.migrated.load(Ordering::Relaxed);
        Ok(Report {
            up_to_date: to_count(standing.up_to_date).saturating_sub(migrated),
            migrated,
            failed: laggards.into_iter().map(Failed::from).collect(),
            skipped: to_count(standing.skipped),
        })
    }
}

impl From<Laggard> for Failed {
    fn from(laggard: Laggard) -> Self {
        let slug = laggard.slug.to_string();
        match laggard.error {
            Some(error) => Self {
                slug,
                code: error.code,
                message: error.message,
                remedy: error.remedy,
            },
            None => Self {
                slug,
                code: "schema_not_tried".into(),
                message: format!(
                    "the database is at schema version {} and was not tried",
                    laggard.version
                ),
                remedy: "Run `stoa migrate --clients` again; a version that is newer than this program's needs that program.".into(),
            },
        }
    }
}

async fn standing(app: &App) -> Result<SchemaStanding, DbError> {
    let latest = app.clients().migrations().latest();
    let mut connection = app.platform().acquire().await?;
    instances::schema_standing(&mut connection, latest, app.clock().now()).await
}

fn to_count(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}
