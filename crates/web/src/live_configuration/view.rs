//! The shapes of the settings.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use stoa_app::live_configuration::LiveConfigurationSummary;
use stoa_domain::LiveConfiguration;
use stoa_domain::live_configuration::{Access, Display, Features, Theme};
use utoipa::ToSchema;

/// The chat's settings and branding.
#[derive(Serialize, ToSchema)]
pub(crate) struct SettingsView {
    /// Their version: 1 and upwards; 0 before they were first set.
    version: i32,
    #[serde(flatten)]
    settings: LiveConfiguration,
}

impl From<(LiveConfiguration, i32)> for SettingsView {
    fn from((settings, version): (LiveConfiguration, i32)) -> Self {
        Self { version, settings }
    }
}

/// New settings, whole.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSettings {
    /// The version that was edited, so that nobody's change is overwritten unseen.
    version: Option<i32>,
    /// The chat's words.
    #[serde(default)]
    display: Display,
    /// The chat's looks.
    #[serde(default)]
    theme: Theme,
    /// What visitors can do besides chatting.
    #[serde(default)]
    features: Features,
    /// Who may embed the chat.
    #[serde(default)]
    access: Access,
}

impl NewSettings {
    /// The settings, and the version that was edited.
    pub(crate) fn into_parts(self) -> (LiveConfiguration, Option<i32>) {
        let settings = LiveConfiguration {
            display: self.display,
            theme: self.theme,
            features: self.features,
            access: self.access,
        };
        (settings, self.version)
    }
}

/// A version of the settings in the list of versions.
#[derive(Serialize, ToSchema)]
pub(crate) struct VersionView {
    /// 1, 2, 3, …
    version: i32,
    /// Who made it.
    changed_by: Option<String>,
    /// When.
    created_at: DateTime<Utc>,
}

impl From<LiveConfigurationSummary> for VersionView {
    fn from(summary: LiveConfigurationSummary) -> Self {
        Self {
            version: summary.version,
            changed_by: summary.changed_by,
            created_at: summary.created_at,
        }
    }
}
