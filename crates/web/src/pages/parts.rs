//! What several pages are made of.

use stoa_domain::{DatabaseState, InstanceStatus};

/// What the platform calls itself where no operator has named it.
pub(crate) const PLATFORM_NAME: &str = "Stoa";

/// The frame of a console's page.
pub(crate) struct Shell {
    /// The instance's name, or the platform's.
    pub(crate) console_name: String,
    /// Whose console it is.
    pub(crate) console_kind: String,
    /// The console's first page.
    pub(crate) home: String,
    /// The console's pages.
    pub(crate) navigation: Vec<NavigationLink>,
    /// Who is signed in.
    pub(crate) viewer: String,
    /// Where to post the sign-out.
    pub(crate) sign_out: String,
    /// The hidden field of its form.
    pub(crate) form_token: String,
}

/// One of a console's pages.
pub(crate) struct NavigationLink {
    /// Its name.
    pub(crate) label: String,
    /// Its path.
    pub(crate) href: String,
    /// Whether it is the one that is shown.
    pub(crate) current: bool,
}

/// A link that stands as a button.
pub(crate) struct PageLink {
    /// Its words.
    pub(crate) label: String,
    /// Its path.
    pub(crate) href: String,
}

/// A figure in the ruled band.
pub(crate) struct Figure {
    /// What it counts.
    pub(crate) label: String,
    /// How much.
    pub(crate) value: String,
    /// What to know about it; may be empty.
    pub(crate) note: String,
}

/// A fact in a list.
pub(crate) struct Fact {
    /// What it is about.
    pub(crate) label: String,
    /// What is so.
    pub(crate) value: String,
}

/// An instance's status for people.
pub(crate) const fn status_label(status: InstanceStatus) -> &'static str {
    match status {
        InstanceStatus::AwaitingSetup => "Awaiting set-up",
        InstanceStatus::Active => "Active",
        InstanceStatus::Suspended => "Suspended",
        InstanceStatus::Deleting => "Being deleted",
    }
}

/// A database's state for people.
pub(crate) const fn database_label(state: DatabaseState) -> &'static str {
    match state {
        DatabaseState::Unset => "Not connected",
        DatabaseState::Ready => "Ready",
        DatabaseState::Unreachable => "Unreachable",
        DatabaseState::Paused => "Paused",
        DatabaseState::Migrating => "Being updated",
        DatabaseState::Mismatch => "Belongs to another",
    }
}
