//! The walls between clients, and between them and the platform, that an operator may take down; and
//! what it means where one is down, said alike at the start, by `stoa doctor` and in the console.

use crate::Settings;

/// The name of the wall between clients and the platform.
pub const PLATFORM_ISOLATION: &str = "PLATFORM_ISOLATION_ENABLED";
/// The name of the wall between one client's data and another's.
pub const CLIENT_DATA_ISOLATION: &str = "CLIENT_DATA_ISOLATION_ENABLED";

/// What follows when the wall of this name is down.
#[must_use]
pub fn meaning(name: &str) -> &'static str {
    match name {
        PLATFORM_ISOLATION => {
            "clients may connect databases and AI endpoints on private addresses of this network, and may keep their data in the platform's own database"
        }
        CLIENT_DATA_ISOLATION => {
            "a database may be connected to several instances, which then all see and change the same conversations, documents, people and settings"
        }
        _ => "a wall between clients is down",
    }
}

/// Each wall that is down, and what that means, in a sentence.
#[must_use]
pub fn warnings(settings: &Settings) -> Vec<String> {
    let walls = [
        (settings.platform_isolation, PLATFORM_ISOLATION),
        (settings.client_isolation, CLIENT_DATA_ISOLATION),
    ];
    walls
        .into_iter()
        .filter(|(stands, _)| !stands)
        .map(|(_, name)| format!("{name} is false: {}.", meaning(name)))
        .collect()
}
