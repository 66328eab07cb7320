//! What the hosted page of an instance's chat needs before its script runs.

use stoa_domain::{InstanceId, InstanceStatus, LiveConfiguration, Slug};
use stoa_platform_db::instances;

use crate::App;
use crate::registry::RegistryError;

/// A hosted chat page.
pub struct HostedChat {
    /// The instance.
    pub id: InstanceId,
    /// The bot's name, else the instance's.
    pub name: String,
    /// Its settings; while its database cannot be read, as they were or else the default ones.
    pub live: LiveConfiguration,
}

/// The hosted chat at this slug; `None` when there is none, or the instance is being deleted.
///
/// A client's database that is down does not take the page away: the chat itself says so.
///
/// # Errors
/// When the platform's database fails.
pub async fn find(app: &App, slug: &str) -> Result<Option<HostedChat>, RegistryError> {
    let Ok(slug) = Slug::parse(slug) else {
        return Ok(None);
    };
    let found = {
        let mut connection = app.platform().acquire().await?;
        instances::find_by_slug(&mut connection, &slug).await?
    };
    let Some(row) = found.filter(|row| row.status != InstanceStatus::Deleting) else {
        return Ok(None);
    };
    let Some(registered) = app.registered(row.id).await? else {
        return Ok(None);
    };
    let live = match app.looks(&registered).await {
        Ok(looks) => looks.live,
        Err(error) => {
            tracing::debug!(instance = %row.id, %error, "a hosted chat is shown with default settings");
            LiveConfiguration::default()
        }
    };
    Ok(Some(HostedChat {
        id: row.id,
        name: registered.display_name(&live).to_owned(),
        live,
    }))
}
