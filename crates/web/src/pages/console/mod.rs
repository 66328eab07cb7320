//! Clients' consoles.

pub(super) mod budgets;
mod header_rows;
pub(super) mod mcp_servers;
pub(super) mod models;
pub(super) mod overview;
mod refusal;
mod removal;
pub(super) mod tools;

use serde::Deserialize;

use super::browser::{ClientConsole, Purpose};
use super::parts::{NavigationLink, Shell};

/// What the navigation leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Overview,
    Models,
    Tools,
    Budgets,
}

impl Section {
    const ALL: [Self; 4] = [Self::Overview, Self::Models, Self::Tools, Self::Budgets];

    const fn label(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Models => "AI models",
            Self::Tools => "Tools",
            Self::Budgets => "Budgets",
        }
    }

    /// Its address beneath the console's first page.
    const fn path(self) -> &'static str {
        match self {
            Self::Overview => "",
            Self::Models => "/models",
            Self::Tools => "/tools",
            Self::Budgets => "/budgets",
        }
    }
}

/// The frame of a page of this section.
fn shell(console: &ClientConsole, current: Section) -> Shell {
    let home = console.home();
    let caller = console.admin.caller();
    Shell {
        console_name: caller.registered().row().name.to_string(),
        console_kind: "Client console".to_owned(),
        navigation: Section::ALL
            .into_iter()
            .map(|section| NavigationLink {
                label: section.label().to_owned(),
                href: format!("{home}{}", section.path()),
                current: section == current,
            })
            .collect(),
        viewer: caller.name().to_owned(),
        sign_out: format!("{home}/sign-out"),
        form_token: console.browser.form_token(Purpose::ClientAdmin),
        home,
    }
}

/// What a button sends besides the form's token: nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// What was just done, as the address says after a form was taken.
#[derive(Deserialize, Default)]
struct Done {
    #[serde(default)]
    done: String,
}

impl Done {
    /// The sentence for it; none for a word that no form of ours leads to.
    fn sentence(&self) -> Option<&'static str> {
        Some(match self.done.as_str() {
            "added" => "Added.",
            "asked" => "Asked. What it said is below.",
            "saved" => "Saved. It counts everywhere within a second.",
            "removed" => "Removed.",
            _ => return None,
        })
    }
}
