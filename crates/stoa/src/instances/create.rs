//! `stoa instance create`: everything that a client needs to set itself up.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use secrecy::SecretString;
use serde::Serialize;
use stoa_app::database::{NewAddress, SupabaseProject};
use stoa_app::instances::create::{Created, Wish, WishedDatabase, create};
use stoa_app::instances::environment::Environment;
use stoa_domain::{DatabaseMode, Email, InstanceName, Slug};
use stoa_web::InstanceView;

use super::failure;
use crate::command::on_app;
use crate::command_line::failure::Failure;
use crate::command_line::output::OutputArguments;

#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    /// The client's name
    #[arg(long, value_parser = InstanceName::parse)]
    name: InstanceName,
    /// The address of the client's first admin
    #[arg(long, value_parser = Email::parse)]
    admin_email: Email,
    /// Its name in addresses; made of the name when left out
    #[arg(long, value_parser = Slug::parse)]
    slug: Option<Slug>,
    /// The code of its plan; `free` when left out
    #[arg(long)]
    plan: Option<String>,
    /// Where its data must stay, in the operator's own words
    #[arg(long)]
    region: Option<String>,
    /// Whether the platform makes its database, or the client brings one: managed or external
    #[arg(long)]
    database: Option<DatabaseMode>,
    /// The address of the client's own database, which is checked and connected at once
    #[arg(long, value_name = "URL", value_parser = secret)]
    database_url: Option<SecretString>,
    /// A file with the certificate authority of that database's server, in PEM form, where no public
    /// authority has signed its certificate
    #[arg(long, value_name = "FILE", requires = "database_url")]
    database_ca: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArguments,
}

/// What is printed, once: the shape of the platform API's answer.
#[derive(Serialize)]
struct Printed {
    instance: InstanceView,
    admin: Admin,
    env: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct Admin {
    email: String,
    setup_url: String,
    expires_at: DateTime<Utc>,
}

pub(super) async fn run(arguments: CreateArguments) -> Result<(), Failure> {
    let CreateArguments {
        name,
        admin_email,
        slug,
        plan,
        region,
        database,
        database_url,
        database_ca,
        output,
    } = arguments;
    let address = match database_url {
        Some(url) => Some(NewAddress {
            url,
            ca_certificate: database_ca.as_deref().map(certificates).transpose()?,
            supabase: SupabaseProject::default(),
        }),
        None => None,
    };
    let database = wished(database, address)?;
    let wish = Wish {
        name,
        slug,
        admin_email,
        plan,
        region,
        database,
    };
    let created = on_app(async |app, caller| {
        create(app, caller, wish)
            .await
            .map_err(|error| failure(&error))
    })
    .await?;
    let text = text(&created);
    output.print(&Printed::from(created), |_| text)
}

/// An address says by itself that the database is the client's own.
fn wished(
    mode: Option<DatabaseMode>,
    address: Option<NewAddress>,
) -> Result<Option<WishedDatabase>, Failure> {
    match (mode, address) {
        (Some(DatabaseMode::Managed), Some(_)) => Err(Failure::new(
            "invalid",
            "--database-url goes with --database external: a managed database is made by the platform",
        )),
        (_, Some(address)) => Ok(Some(WishedDatabase::External(Some(address)))),
        (Some(DatabaseMode::Managed), None) => Ok(Some(WishedDatabase::Managed)),
        (Some(DatabaseMode::External), None) => Ok(Some(WishedDatabase::External(None))),
        (None, None) => Ok(None),
    }
}

/// What a file of certificates holds, which is judged where the address is.
pub(super) fn certificates(file: &Path) -> Result<String, Failure> {
    let read = std::fs::read(file);
    read.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .map_err(|error| {
            Failure::new(
                "invalid",
                format!("{} cannot be read: {error}", file.display()),
            )
        })
}

fn secret(text: &str) -> Result<SecretString, std::convert::Infallible> {
    Ok(SecretString::from(text.to_owned()))
}

/// The client configuration as an object.
pub(super) fn by_name(environment: &Environment) -> BTreeMap<&'static str, String> {
    let pairs = environment.pairs().into_iter();
    pairs.chain(environment.authority_pair()).collect()
}

impl From<Created> for Printed {
    fn from(created: Created) -> Self {
        Self {
            instance: InstanceView::from(&created.instance),
            admin: Admin {
                email: created.admin_email.to_string(),
                setup_url: created.link.url.to_string(),
                expires_at: created.link.expires_at,
            },
            env: by_name(&created.environment),
        }
    }
}

fn text(created: &Created) -> String {
    let Created {
        instance,
        admin_email,
        link,
        environment,
    } = created;
    format!(
        "{name} is `{slug}`, {status}.\n\n{admin_email} sets a password here, once, until {until}:\n{url}\n\nIts configuration, which `stoa instance env {slug}` prints again:\n{env}",
        name = instance.name,
        slug = instance.slug,
        status = instance.status,
        until = link.expires_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        url = link.url,
        env = environment.to_env_file(),
    )
}
