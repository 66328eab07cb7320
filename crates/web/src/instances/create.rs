//! Making an instance.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use stoa_app::database::{NewAddress, SupabaseProject};
use stoa_app::instances::create::{self, Created, Wish, WishedDatabase};
use stoa_app::{App, SetupLink};
use stoa_domain::{DatabaseMode, Email, InstanceName, Slug};
use utoipa::ToSchema;

use super::parse;
use super::view::InstanceView;
use crate::http::caller::Platform;
use crate::http::creation::Creation;
use crate::http::problem::{Problem, ProblemDocument};

/// What a new instance is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewInstance {
    /// Its name for people, 1 to 100 characters.
    name: String,
    /// Whoever is to run it; gets a link to set a password.
    admin_email: String,
    /// Its name in addresses; made of the name when left out.
    slug: Option<String>,
    /// The code of its plan; `free` when left out.
    plan: Option<String>,
    /// Where its data must stay, as the operator names regions.
    region: Option<String>,
    /// Where its database is; managed when left out, if the platform has a cluster for that.
    database: Option<NewDatabase>,
}

/// Where an instance's database is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDatabase {
    /// `managed`: made by the platform, on its own cluster. `external`: the client's own.
    mode: DatabaseMode,
    /// An external database's address; without one the client connects it later, by the client API.
    #[schema(value_type = Option<String>, format = Password)]
    url: Option<SecretString>,
    /// The certificate authorities by which an external database's server proves itself, in PEM form.
    #[schema(write_only)]
    ca_certificate: Option<String>,
    /// The address of the client's Supabase project.
    supabase_url: Option<String>,
    /// The project's anonymous key.
    #[schema(value_type = Option<String>, format = Password)]
    supabase_anon_key: Option<SecretString>,
    /// The project's JWT secret.
    #[schema(value_type = Option<String>, format = Password)]
    supabase_jwt_secret: Option<SecretString>,
}

/// An instance that was just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedInstance {
    /// The instance.
    instance: InstanceView,
    /// Who runs it.
    admin: AdminLink,
    /// The generated client configuration; empty where nothing is known yet.
    env: EnvironmentView,
}

/// An admin and the link by which they set a password.
#[derive(Serialize, ToSchema)]
pub(crate) struct AdminLink {
    /// The admin's address.
    email: String,
    /// The link, shown this once.
    setup_url: String,
    /// Until when it works.
    expires_at: DateTime<Utc>,
}

impl AdminLink {
    pub(crate) fn new(email: &Email, link: &SetupLink) -> Self {
        Self {
            email: email.to_string(),
            setup_url: link.url.to_string(),
            expires_at: link.expires_at,
        }
    }
}

/// The client configuration.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(clippy::struct_field_names, reason = "the names of the contract")]
struct EnvironmentView {
    /// The instance's id.
    client_id: String,
    /// The database's address, with its password.
    client_database_url: String,
    /// The certificate authorities of the database's server, on one line with `\n` for the ends of
    /// lines; left out where those are the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_database_ca: Option<String>,
    /// The Supabase project's address.
    client_supabase_url: String,
    /// The project's anonymous key.
    client_supabase_anon_key: String,
}

/// Makes an instance with its database, its owner and their set-up link, all or nothing.
#[utoipa::path(post, path = "/api/platform/v1/instances", tag = "platform",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send again for 24 h")),
    request_body = NewInstance,
    responses((status = 201, body = CreatedInstance),
        (status = 409, description = "`slug_taken`", body = ProblemDocument),
        (status = 422, description = "`invalid_body`, or `database_check_failed` as for the client's PUT /database", body = ProblemDocument),
        (status = 503, description = "`provisioning_failed`", body = ProblemDocument)))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Platform(caller): Platform,
    creation: Creation<NewInstance>,
) -> Result<Response, Problem> {
    let actor = caller.actor();
    let work = move |app: Arc<App>, new: NewInstance| async move {
        let created = create::create(&app, &caller, new.wish()?).await?;
        Ok((StatusCode::CREATED, CreatedInstance::from(&created)))
    };
    creation.once(&app, actor, work).await
}

impl NewInstance {
    fn wish(self) -> Result<Wish, Problem> {
        Ok(Wish {
            name: parse("name", InstanceName::parse(&self.name))?,
            slug: match self.slug {
                Some(slug) => Some(parse("slug", Slug::parse(&slug))?),
                None => None,
            },
            admin_email: parse("admin_email", Email::parse(&self.admin_email))?,
            plan: self.plan,
            region: self.region,
            database: self.database.map(NewDatabase::wish).transpose()?,
        })
    }
}

impl NewDatabase {
    fn wish(self) -> Result<WishedDatabase, Problem> {
        let supabase = SupabaseProject {
            url: self.supabase_url,
            anon_key: self.supabase_anon_key,
            jwt_secret: self.supabase_jwt_secret,
        };
        match (self.mode, self.url) {
            (DatabaseMode::External, Some(url)) => Ok(WishedDatabase::External(Some(NewAddress {
                url,
                ca_certificate: self.ca_certificate,
                supabase,
            }))),
            (DatabaseMode::Managed, Some(_)) => Err(Problem::invalid_field(
                "database.url",
                "left out for a managed database, which the platform makes",
            )),
            (_, None) if !supabase.is_empty() || self.ca_certificate.is_some() => {
                Err(Problem::invalid_field(
                    "database.url",
                    "the address of the external database, which the certificate and the project's keys go with",
                ))
            }
            (DatabaseMode::External, None) => Ok(WishedDatabase::External(None)),
            (DatabaseMode::Managed, None) => Ok(WishedDatabase::Managed),
        }
    }
}

impl From<&Created> for CreatedInstance {
    fn from(created: &Created) -> Self {
        let [id, database_url, supabase_url, anon_key] =
            created.environment.pairs().map(|(_, value)| value);
        Self {
            instance: (&created.instance).into(),
            admin: AdminLink::new(&created.admin_email, &created.link),
            env: EnvironmentView {
                client_id: id,
                client_database_url: database_url,
                client_database_ca: created.environment.authority_pair().map(|(_, value)| value),
                client_supabase_url: supabase_url,
                client_supabase_anon_key: anon_key,
            },
        }
    }
}
