//! Conversations: begun and looked at by their visitor.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use stoa_app::App;
use stoa_app::chat::sessions::{self, Begin, ClaimedUser};
use stoa_domain::{InstanceId, SessionId};
use utoipa::ToSchema;

use super::dto::SessionView;
use super::origin;
use crate::http::body::Body;
use crate::http::caller::Chat;
use crate::http::id::Id;
use crate::http::problem::{Problem, ProblemDocument};

/// A conversation that a visitor begins.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSession {
    /// With which instance.
    instance_id: InstanceId,
    /// Who the visitor is, if known.
    user: Option<NewUser>,
    /// The visitor's language, BCP 47, at most 35 characters.
    locale: Option<String>,
    /// The page on which it begins, at most 2,000 characters.
    page_url: Option<String>,
}

/// Who a visitor says they are.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    /// The id in the client's own system, 1 to 255 characters.
    id: String,
    /// The name, at most 255 characters.
    name: Option<String>,
    /// The e-mail address, at most 255 characters.
    email: Option<String>,
}

/// A conversation that has begun.
#[derive(Serialize, ToSchema)]
pub(crate) struct Begun {
    /// The conversation.
    session: SessionView,
    /// Its token, shown this once; it opens this conversation and nothing else.
    token: String,
}

/// Begins a conversation.
#[utoipa::path(post, path = "/api/chat/v1/sessions", tag = "chat", request_body = NewSession,
    responses((status = 201, body = Begun), (status = 404, body = ProblemDocument),
        (status = 403, description = "The instance is suspended", body = ProblemDocument)))]
pub(crate) async fn begin(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(new): Body<NewSession>,
) -> Result<(StatusCode, axum::Json<Begun>), Problem> {
    origin::check(&app, &headers, new.instance_id).await?;
    let begin = Begin {
        user: new.user.map(claimed).transpose()?,
        locale: at_most(new.locale, 35, "locale")?,
        page_url: at_most(new.page_url, 2_000, "page_url")?,
    };
    let (session, token) = sessions::begin(&app, new.instance_id, begin).await?;
    let begun = Begun {
        session: session.into(),
        token: token.expose().to_owned(),
    };
    Ok((StatusCode::CREATED, axum::Json(begun)))
}

fn claimed(user: NewUser) -> Result<ClaimedUser, Problem> {
    if user.id.trim().is_empty() {
        return Err(Problem::invalid_field("user.id", "1 to 255 characters"));
    }
    Ok(ClaimedUser {
        id: at_most(Some(user.id), 255, "user.id")?.unwrap_or_default(),
        name: at_most(user.name, 255, "user.name")?,
        email: at_most(user.email, 255, "user.email")?,
    })
}

fn at_most(text: Option<String>, limit: usize, field: &str) -> Result<Option<String>, Problem> {
    match text {
        Some(text) if text.chars().count() > limit => Err(Problem::invalid_field(
            field,
            format!("at most {limit} characters"),
        )),
        text => Ok(text),
    }
}

/// The visitor's conversation.
#[utoipa::path(get, path = "/api/chat/v1/sessions/{id}", tag = "chat",
    params(("id" = SessionId, Path, description = "The conversation")),
    responses((status = 200, body = SessionView), (status = 404, body = ProblemDocument)))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Chat(visitor): Chat,
    Id(session): Id<SessionId>,
) -> Result<axum::Json<SessionView>, Problem> {
    let session = sessions::find(&app, &visitor, session).await?;
    Ok(axum::Json(session.into()))
}
