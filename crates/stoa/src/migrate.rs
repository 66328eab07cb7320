//! `stoa migrate`: brings the platform database up to date, as a server does when it starts.

use stoa_domain::Random;

use crate::application;
use crate::command_line::failure::Failure;
use crate::command_line::output;
use crate::databases::Databases;

/// Migrates the platform database; safe beside running servers.
pub(crate) async fn run() -> Result<(), Failure> {
    let configuration = crate::configuration()?;
    let databases = Databases::open_beside(&configuration, &Random::system()).await?;
    let migrated = match application::connect(&databases, application::COMMAND_CONNECTIONS).await {
        Ok(platform) => {
            platform.close().await;
            Ok(())
        }
        Err(failure) => Err(failure),
    };
    databases.stop().await?;
    migrated?;
    output::tell("The platform database is up to date.");
    Ok(())
}
