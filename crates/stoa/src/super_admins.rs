//! `stoa super-admin …`: the people who run the platform.

use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use serde::Serialize;
use stoa_app::super_admins::{self, Created, SuperAdminError};
use stoa_domain::{Email, SuperAdminId};

use crate::command::on_app;
use crate::command_line::ask;
use crate::command_line::failure::Failure;
use crate::command_line::output::OutputArguments;

#[derive(Debug, Subcommand)]
pub(crate) enum SuperAdminCommand {
    /// Add a super admin; without a password, print a link that sets one
    Create(CreateArguments),
}

#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    /// The address to sign in with
    #[arg(long, value_parser = Email::parse)]
    email: Email,
    /// Read the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    output: OutputArguments,
}

/// What is printed.
#[derive(Serialize)]
struct Printed {
    id: SuperAdminId,
    email: String,
    /// Where a password is set; absent when one was given.
    setup_url: Option<String>,
    expires_at: Option<DateTime<Utc>>,
}

pub(crate) async fn run(command: SuperAdminCommand) -> Result<(), Failure> {
    let SuperAdminCommand::Create(CreateArguments {
        email,
        password_stdin,
        output,
    }) = command;
    let password = match password_stdin {
        true => Some(ask::secret_from_standard_input()?),
        false => None,
    };
    let created = on_app(async |app, caller| {
        super_admins::create(app, caller, &email, password.as_ref())
            .await
            .map_err(|error| failure(&error))
    })
    .await?;
    output.print(&Printed::from(created), Printed::text)
}

impl From<Created> for Printed {
    fn from(Created { id, email, link }: Created) -> Self {
        Self {
            id,
            email: email.as_str().to_owned(),
            setup_url: link.as_ref().map(|link| link.url.to_string()),
            expires_at: link.map(|link| link.expires_at),
        }
    }
}

impl Printed {
    fn text(&self) -> String {
        let Self {
            email,
            setup_url,
            expires_at,
            ..
        } = self;
        match (setup_url, expires_at) {
            (Some(url), Some(expires_at)) => format!(
                "{email} sets a password here, once, until {}:\n{url}",
                expires_at.to_rfc3339_opts(SecondsFormat::Secs, true)
            ),
            _ => format!("{email} can sign in with that password."),
        }
    }
}

fn failure(error: &SuperAdminError) -> Failure {
    match error {
        SuperAdminError::EmailTaken => Failure::from_error("email_taken", error)
            .hint("that admin can sign in already; choose another address for another person"),
        SuperAdminError::Password(_) => Failure::from_error("unfit_password", error),
        SuperAdminError::Platform(_) => Failure::from_error("platform_database", error),
    }
}
