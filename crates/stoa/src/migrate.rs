//! `stoa migrate`: brings the platform database up to date, as a server does when it starts.

use stoa_app::StartError;
use stoa_domain::Random;
use stoa_platform_db::{DbError, PlatformDb};

use crate::application::COMMAND_CONNECTIONS;
use crate::command_line::failure::Failure;
use crate::command_line::output;
use crate::databases::Databases;
use crate::dedicated;

/// Migrates the platform database; safe beside running servers.
pub(crate) async fn run() -> Result<(), Failure> {
    let configuration = crate::configuration()?;
    let databases = Databases::open_beside(&configuration, &Random::system()).await?;
    let migrated = migrate(&databases).await;
    databases.stop().await?;
    migrated?;
    output::tell("The platform database is up to date.");
    Ok(())
}

async fn migrate(databases: &Databases) -> Result<(), Failure> {
    let migrated = async {
        let (url, authority) = (databases.platform(), databases.platform_ca());
        let platform = PlatformDb::connect_verified(url, authority, COMMAND_CONNECTIONS).await?;
        platform.migrate().await?;
        platform.close().await;
        Ok::<_, DbError>(())
    };
    migrated
        .await
        .map_err(|error| dedicated::with_schema_sql(&StartError::Platform(error), databases))
}
