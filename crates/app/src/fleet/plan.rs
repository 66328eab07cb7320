//! What would be run where. Only looks.

use serde::Serialize;
use stoa_client_db::Migrations;
use stoa_platform_db::{DbError, PlatformDb, instances};

/// What would be run in every client's database.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The version that databases are brought to.
    pub latest: i32,
    /// Databases that are there already.
    pub up_to_date: usize,
    /// Instances without a database, or being deleted.
    pub skipped: usize,
    /// The others, by the version that the registry knows them to be at.
    pub groups: Vec<PlannedGroup>,
}

/// Databases that are at the same version, so that the same would be run in each.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedGroup {
    /// The version that they are at; 0 where none is known.
    pub version: i32,
    /// Whose they are.
    pub slugs: Vec<String>,
    /// The versions of the migrations that are missing.
    pub migrations: Vec<i32>,
    /// The SQL, in one transaction for each database. Empty where nothing is missing.
    pub sql: String,
}

impl Plan {
    /// Nothing to do, since there are no clients.
    #[must_use]
    pub fn empty(migrations: &Migrations) -> Self {
        Self {
            latest: migrations.latest(),
            up_to_date: 0,
            skipped: 0,
            groups: Vec::new(),
        }
    }
}

impl PlannedGroup {
    pub(super) fn new(version: i32, slugs: Vec<String>, migrations: &Migrations) -> Self {
        let missing: Vec<i32> = migrations.after(version).map(|it| it.version).collect();
        Self {
            version,
            slugs,
            sql: match missing.is_empty() {
                true => String::new(),
                false => migrations.script(version),
            },
            migrations: missing,
        }
    }
}

/// What would be run, by what the registry knows. Changes nothing, not even a platform database
/// that is behind itself, and connects to no client's database.
///
/// # Errors
/// When the platform's database fails.
pub async fn plan(platform: &PlatformDb, migrations: &Migrations) -> Result<Plan, DbError> {
    let mut connection = platform.acquire().await?;
    let versions = instances::schema_versions(&mut connection).await?;
    let skipped = instances::without_schema(&mut connection).await?;
    let latest = migrations.latest();
    let mut up_to_date = 0;
    let mut groups: Vec<(i32, Vec<String>)> = Vec::new();
    for (slug, version) in versions {
        if version >= latest {
            up_to_date += 1;
            continue;
        }
        // They come in the order of their versions.
        match groups.last_mut() {
            Some((last, slugs)) if *last == version => slugs.push(slug.to_string()),
            _ => groups.push((version, vec![slug.to_string()])),
        }
    }
    Ok(Plan {
        latest,
        up_to_date,
        skipped: usize::try_from(skipped).unwrap_or(0),
        groups: groups
            .into_iter()
            .map(|(version, slugs)| PlannedGroup::new(version, slugs, migrations))
            .collect(),
    })
}
