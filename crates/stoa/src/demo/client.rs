//! The demo's client: an instance with a managed database, documents, and a bot that quotes them.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use stoa_app::access::{self, ClientCaller, PlatformCaller};
use stoa_app::api_configurations;
use stoa_app::documents::{self, NewContent};
use stoa_app::instances::create::{Wish, WishedDatabase, create};
use stoa_app::instances::{self, InstanceError};
use stoa_app::{App, Instance, PageRequest, SetupLink, live_configuration, sign_in};
use stoa_domain::{
    DocumentStatus, Email, InstanceName, InstanceStatus, LiveConfiguration, Provider, Slug,
};

use super::handbook::{PAGES, STARTERS};
use crate::command_line::failure::Failure;

const NAME: &str = "Fernweh Outdoor";
const SLUG: &str = "fernweh";
pub(super) const ADMIN: &str = "admin@fernweh.example";

/// How often and how long the documents are waited for.
const LOOK: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes the client unless it is there; `true` when it was made and `password` is its admin's.
///
/// Its test of the AI configuration, which makes it active, comes last: one that is not active is
/// what an interrupted start has left, and is made anew.
pub(super) async fn ensure(
    app: &Arc<App>,
    caller: &PlatformCaller,
    password: &SecretString,
) -> Result<bool, Failure> {
    match existing(app, caller).await? {
        Some(instance) if instance.status != InstanceStatus::AwaitingSetup => return Ok(false),
        Some(unfinished) => {
            instances::delete::delete(app, caller, unfinished.id)
                .await
                .map_err(failed)?;
        }
        None => {}
    }
    let wish = Wish {
        name: InstanceName::parse(NAME).map_err(failed)?,
        slug: Some(slug()?),
        admin_email: Email::parse(ADMIN).map_err(failed)?,
        plan: None,
        region: None,
        database: Some(WishedDatabase::Managed),
    };
    let created = create(app, caller, wish).await.map_err(failed)?;
    let signed_in = sign_in::set_password(app, &token_of(&created.link)?, password, None)
        .await
        .map_err(failed)?;
    let admin = access::client_admin(app, signed_in.token.expose())
        .await
        .map_err(failed)?;
    let admin = admin.ok_or_else(|| Failure::new("demo", "the client's admin cannot sign in"))?;
    fill(app, admin.caller()).await?;
    sign_in::sign_out_client_admin(app, &admin)
        .await
        .map_err(failed)?;
    Ok(true)
}

/// The chat's address.
pub(super) fn chat_path() -> String {
    format!("/chat/{SLUG}")
}

/// The console's address.
pub(super) fn console_path() -> String {
    format!("/console/{SLUG}")
}

async fn existing(app: &App, caller: &PlatformCaller) -> Result<Option<Instance>, Failure> {
    match instances::find_by_slug(app, caller, &slug()?).await {
        Ok(instance) => Ok(Some(instance)),
        Err(InstanceError::NotFound) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

async fn fill(app: &Arc<App>, client: &ClientCaller) -> Result<(), Failure> {
    for page in PAGES {
        let content = NewContent::File {
            name: Some(page.file_name.to_owned()),
            media_type: Some("text/markdown".to_owned()),
            bytes: page.text.as_bytes().to_vec(),
        };
        documents::add(app, client, Some(page.title().to_owned()), content)
            .await
            .map_err(failed)?;
    }
    let mut live = LiveConfiguration::default();
    NAME.clone_into(&mut live.display.bot_name);
    "Gear for outside, since 1987".clone_into(&mut live.display.tagline);
    "Hello! Ask me about returns, shipping, sizes, repairs or our stores."
        .clone_into(&mut live.display.greeting);
    live.display.starters = STARTERS.map(str::to_owned).into();
    live_configuration::put(app, client, live, None)
        .await
        .map_err(failed)?;
    wait_for_documents(app, client).await?;
    answer_from_passages(app, client).await
}

async fn wait_for_documents(app: &App, client: &ClientCaller) -> Result<(), Failure> {
    let all = PageRequest {
        limit: 200,
        after: None,
    };
    let ready = async {
        loop {
            let page = documents::list(app, client, None, &all)
                .await
                .map_err(failed)?;
            let under_way =
                |status| !matches!(status, DocumentStatus::Ready | DocumentStatus::Failed);
            if let Some(bad) = page
                .data
                .iter()
                .find(|it| it.status == DocumentStatus::Failed)
            {
                return Err(Failure::new(
                    "demo",
                    format!("“{}” was not indexed", bad.title),
                ));
            }
            if !page.data.iter().any(|document| under_way(document.status)) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, ready)
        .await
        .map_err(|_| Failure::new("demo", "the documents were not indexed in time"))?
}

/// No model is configured: the bot quotes the passages that it finds, and says so.
async fn answer_from_passages(app: &Arc<App>, client: &ClientCaller) -> Result<(), Failure> {
    let fields = api_configurations::Changes {
        name: Some("Passages".to_owned()),
        model: Some("passages".to_owned()),
        enabled: Some(true),
        ..Default::default()
    };
    let added = api_configurations::add(app, client, Provider::Passages, fields)
        .await
        .map_err(failed)?;
    let trial = api_configurations::test(app, client, added.stored.id)
        .await
        .map_err(failed)?;
    match trial.failure {
        None => Ok(()),
        Some(failure) => Err(Failure::new("demo", failure.message)),
    }
}

fn slug() -> Result<Slug, Failure> {
    Slug::parse(SLUG).map_err(failed)
}

fn token_of(link: &SetupLink) -> Result<String, Failure> {
    let token = link.url.query_pairs().find(|(name, _)| name == "token");
    token
        .map(|(_, token)| token.into_owned())
        .ok_or_else(|| Failure::new("demo", "the set-up link has no token"))
}

/// For `map_err`.
pub(super) fn failed(error: impl std::error::Error) -> Failure {
    Failure::from_error("demo", &error)
        .hint("remove the data directory to begin anew; what is in it is lost then")
}
