//! `stoa token …`: tokens for the platform API.

use clap::{Args, Subcommand};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, Serializer};
use stoa_app::api_tokens::{self, ApiTokenError, Issued};
use stoa_domain::ApiTokenId;

use crate::command::on_app;
use crate::command_line::failure::Failure;
use crate::command_line::output::OutputArguments;

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Issue a platform API token and print it, this once
    Create(CreateArguments),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    /// What it is for, to know it by later
    #[arg(long)]
    name: String,
    #[command(flatten)]
    output: OutputArguments,
}

/// What is printed.
#[derive(Serialize)]
struct Printed {
    id: ApiTokenId,
    name: String,
    #[serde(serialize_with = "expose")]
    token: SecretString,
}

pub(crate) async fn run(command: TokenCommand) -> Result<(), Failure> {
    let TokenCommand::Create(CreateArguments { name, output }) = command;
    let Issued { id, name, token } = on_app(async |app, caller| {
        api_tokens::create(app, caller, &name)
            .await
            .map_err(|error| failure(&error))
    })
    .await?;
    let printed = Printed {
        id,
        name,
        token: token.expose().to_owned().into(),
    };
    // As text the token alone, so that a script can take it as it is.
    output.print(&printed, |printed| printed.token.expose_secret().to_owned())
}

/// Printing it once is what this command is for.
fn expose<S: Serializer>(token: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose_secret())
}

fn failure(error: &ApiTokenError) -> Failure {
    match error {
        ApiTokenError::Name => Failure::from_error("unfit_name", error),
        ApiTokenError::NotFound => Failure::from_error("not_found", error),
        ApiTokenError::Platform(_) => Failure::from_error("platform_database", error),
    }
}
