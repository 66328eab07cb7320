//! How the fleet of clients' databases stands, by what the registry knows of it.

use chrono::{DateTime, Utc};
use stoa_app::fleet;
use stoa_platform_db::instances::{self, Laggard, SchemaStanding};
use stoa_platform_db::{DbError, PlatformDb};

use super::report::Check;
use crate::command_line::failure::with_causes;

const SCHEMAS: &str = "client_schemas";

/// How many of those that failed are named.
const NAMED: i64 = 5;

/// How many clients' databases are behind, and which could not be brought up to date. A warning at
/// most: each failure is its own client's.
pub(super) async fn schemas(platform: &PlatformDb, now: DateTime<Utc>) -> Check {
    let looked = async {
        let mut connection = platform.acquire().await?;
        let latest = fleet::LATEST;
        let standing = instances::schema_standing(&mut connection, latest, now).await?;
        let laggards = instances::schema_laggards(&mut connection, latest, NAMED).await?;
        Ok::<_, DbError>((standing, laggards))
    };
    match looked.await {
        Ok((standing, laggards)) => judged(standing, &laggards),
        Err(error) => Check::fail(
            SCHEMAS,
            with_causes(&error),
            "look at the platform database first",
        ),
    }
}

fn judged(standing: SchemaStanding, laggards: &[Laggard]) -> Check {
    let SchemaStanding {
        up_to_date, behind, ..
    } = standing;
    let latest = fleet::LATEST;
    if behind == 0 {
        let detail = format!("all {up_to_date} clients' databases are at schema version {latest}");
        return Check::pass(SCHEMAS, detail);
    }
    let mut detail = format!(
        "{behind} of {} clients' databases are not at schema version {latest}",
        up_to_date + behind
    );
    let failed: Vec<String> = laggards
        .iter()
        .filter_map(|it| Some(format!("{} ({})", it.slug, it.error.as_ref()?.code)))
        .collect();
    if !failed.is_empty() {
        detail.push_str(&format!("; failed: {}", failed.join(", ")));
    }
    Check::warn(
        SCHEMAS,
        detail,
        "stoa migrate --clients (running workers do it too); for one that failed, `stoa instance show SLUG` says what to do",
    )
}
