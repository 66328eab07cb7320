//! The platform console's first page: the clients.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use stoa_app::instances::{self, Wanted};
use stoa_app::{App, Instance, isolation};
use stoa_domain::{InstanceId, InstanceStatus};

use super::browser::{PlatformConsole, Purpose};
use super::error::PageError;
use super::headers::{self, Nonce};
use super::parts::{Figure, NavigationLink, PLATFORM_NAME, Shell, database_label, status_label};
use crate::http::assets::Assets;
use crate::http::params::Params;

const ROWS: u16 = 50;

/// Where the list goes on.
#[derive(Deserialize)]
pub(super) struct Part {
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "platform_overview.html")]
struct Page {
    assets: Assets,
    nonce: String,
    shell: Shell,
    warnings: Vec<String>,
    figures: Vec<Figure>,
    instances: Vec<InstanceRow>,
    more: Option<String>,
}

struct InstanceRow {
    name: String,
    slug: String,
    href: String,
    status: &'static str,
    status_label: &'static str,
    database_state: &'static str,
    database_label: &'static str,
    plan: String,
    created: String,
    created_at: String,
}

/// `GET /platform`.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Params(part): Params<Part>,
    console: PlatformConsole,
) -> Result<Response, PageError> {
    let caller = console.admin.caller();
    let after = part.after.map(|id| id.parse::<InstanceId>()).transpose();
    let wanted = Wanted {
        after: after.map_err(|_| PageError::NotFound)?,
        limit: ROWS,
        ..Wanted::default()
    };
    let (found, more) = instances::list(&app, caller, wanted).await?;
    let counted = instances::count_by_status(&app, caller).await?;
    let last = found.last().filter(|_| more);
    let nonce = Nonce::new(app.random());
    let page = Page {
        assets: Assets,
        nonce: nonce.as_str().to_owned(),
        shell: shell(&console),
        warnings: isolation::warnings(app.settings()),
        figures: figures(&counted),
        more: last.map(|last| format!("/platform?after={}", last.id)),
        instances: found.iter().map(row).collect(),
    };
    Ok(headers::console(StatusCode::OK, &nonce, &page)?)
}

fn shell(console: &PlatformConsole) -> Shell {
    Shell {
        console_name: PLATFORM_NAME.to_owned(),
        console_kind: "Platform console".to_owned(),
        home: "/platform".to_owned(),
        navigation: vec![NavigationLink {
            label: "Clients".to_owned(),
            href: "/platform".to_owned(),
            current: true,
        }],
        viewer: console.admin.caller().name().to_owned(),
        sign_out: "/platform/sign-out".to_owned(),
        form_token: console.browser.form_token(Purpose::SuperAdmin),
    }
}

fn figures(counted: &[(InstanceStatus, i64)]) -> Vec<Figure> {
    let of = |wanted: InstanceStatus| {
        let found = counted.iter().find(|(status, _)| *status == wanted);
        found.map_or(0, |(_, count)| *count)
    };
    if counted.is_empty() {
        return Vec::new();
    }
    [
        InstanceStatus::Active,
        InstanceStatus::AwaitingSetup,
        InstanceStatus::Suspended,
    ]
    .into_iter()
    .map(|status| Figure {
        label: status_label(status).to_owned(),
        value: of(status).to_string(),
        note: String::new(),
    })
    .collect()
}

fn row(instance: &Instance) -> InstanceRow {
    InstanceRow {
        name: instance.name.to_string(),
        slug: instance.slug.to_string(),
        href: String::new(),
        status: instance.status.as_str(),
        status_label: status_label(instance.status),
        database_state: instance.database.state.as_str(),
        database_label: database_label(instance.database.state),
        plan: instance.plan.clone(),
        created: instance
            .created_at
            .format("%-d %b %Y, %H:%M UTC")
            .to_string(),
        created_at: instance.created_at.to_rfc3339(),
    }
}
