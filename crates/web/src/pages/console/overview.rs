//! A client console's first page: where the instance stands and what is left to do.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use stoa_app::budgets::{self, Nearly, Period};
use stoa_app::overview::{self, Progress};
use stoa_app::{App, Instance};

use super::super::browser::ClientConsole;
use super::super::error::PageError;
use super::super::headers::{self, Nonce};
use super::super::parts::{Fact, Figure, PageLink, Shell, database_label, status_label};
use super::Section;
use crate::http::assets::Assets;

#[derive(Template)]
#[template(path = "console_overview.html")]
struct Page {
    assets: Assets,
    nonce: String,
    shell: Shell,
    instance_name: String,
    status: &'static str,
    status_label: &'static str,
    steps_done: usize,
    steps: Vec<Step>,
    figures: Vec<Figure>,
    database_state: &'static str,
    database_label: &'static str,
    database_facts: Vec<Fact>,
    hosted_chat_url: String,
}

struct Step {
    title: &'static str,
    sentence: &'static str,
    done: bool,
    link: Option<PageLink>,
}

/// `GET /console/{slug}`.
pub(in super::super) async fn show(
    State(app): State<Arc<App>>,
    console: ClientConsole,
) -> Result<Response, PageError> {
    let caller = console.admin.caller();
    let row = caller.registered().row();
    let steps = steps(overview::progress(&app, caller).await, &console.home());
    let settings = app.settings();
    let at = |base: &url::Url, path: String| {
        let mut address = base.clone();
        address.set_path(&path);
        address.to_string()
    };
    let nonce = Nonce::new(app.random());
    let page = Page {
        assets: Assets,
        nonce: nonce.as_str().to_owned(),
        shell: super::shell(&console, Section::Overview),
        instance_name: row.name.to_string(),
        status: row.status.as_str(),
        status_label: status_label(row.status),
        steps_done: steps.iter().filter(|step| step.done).count(),
        steps,
        figures: budgets::nearly_used_up(&app, caller)
            .await
            .iter()
            .map(figure)
            .collect(),
        database_state: row.database.state.as_str(),
        database_label: database_label(row.database.state),
        database_facts: facts(row),
        hosted_chat_url: at(&settings.chat_url, format!("/chat/{}", row.slug)),
    };
    Ok(headers::console(StatusCode::OK, &nonce, &page)?)
}

fn steps(progress: Progress, home: &str) -> Vec<Step> {
    let step = |title, sentence, done| Step {
        title,
        sentence,
        done,
        link: None,
    };
    vec![
        step(
            "Connect your database",
            "Everything that people say in this chat is kept in it, and nowhere else.",
            progress.database,
        ),
        Step {
            link: Some(PageLink {
                label: "AI models".to_owned(),
                href: format!("{home}/models"),
            }),
            ..step(
                "Add your AI key",
                "Answers are written by your own provider, or quoted from your documents without one.",
                progress.ai,
            )
        },
        step(
            "Add knowledge",
            "The documents that answers are made of, and cite.",
            progress.knowledge,
        ),
        step(
            "Make it yours",
            "Name, greeting and colours of the chat.",
            progress.appearance,
        ),
        step(
            "Put it on your site",
            "Link to the chat's own page, and allow your site's address.",
            progress.site,
        ),
    ]
}

/// A budget that its people should know of.
fn figure(nearly: &Nearly) -> Figure {
    let period = match nearly.period {
        Period::Day => "today",
        Period::Month => "this month",
    };
    let unit = if nearly.is_money { "money" } else { "tokens" };
    let state = match nearly.percent {
        100.. => "used up",
        _ => "nearly used up",
    };
    let resets_at = nearly.resets_at.format("%Y-%m-%d %H:%M UTC");
    Figure {
        label: format!("AI budget {period}, {unit}"),
        value: format!("{} %", nearly.percent),
        note: format!("{state}; it begins anew on {resets_at}"),
    }
}

fn facts(row: &Instance) -> Vec<Fact> {
    if row.database.address_sealed.is_none() {
        return Vec::new();
    }
    let facts = &row.database.facts;
    let missing = || "not installed; search is by words only".to_owned();
    [
        ("Kind", Some(kind(row).to_owned())),
        ("Host", facts.host.clone()),
        ("PostgreSQL", facts.version.clone()),
        (
            "pgvector",
            Some(facts.pgvector.clone().unwrap_or_else(missing)),
        ),
        ("Pooler", facts.pooler.clone()),
    ]
    .into_iter()
    .filter_map(|(label, value)| {
        Some(Fact {
            label: label.to_owned(),
            value: value?,
        })
    })
    .collect()
}

const fn kind(row: &Instance) -> &'static str {
    match row.database.mode {
        stoa_domain::DatabaseMode::Managed => "made and kept by the platform",
        stoa_domain::DatabaseMode::External => "your own",
    }
}
