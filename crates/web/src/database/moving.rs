//! Moving the database: begun by `PUT /database`, watched and called off here.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use stoa_app::App;
use stoa_app::access::ClientCaller;
use stoa_app::moving::{self, Begun, Kept, Move, MovePhase, To};
use stoa_domain::{DatabaseMode, MoveId};
use utoipa::{IntoParams, ToSchema};

use super::view::ConnectedView;
use crate::http::caller::Client;
use crate::http::params::Params;
use crate::http::problem::{Problem, ProblemDocument};

/// The latest move; null when there never was one.
#[derive(Serialize, ToSchema)]
pub struct MoveAnswer {
    /// The move.
    #[serde(rename = "move")]
    latest: Option<MoveView>,
}

/// A move of the database to another place.
#[derive(Serialize, ToSchema)]
pub struct MoveView {
    /// Its id.
    id: MoveId,
    /// `queued`, `preparing`, `copying`, `catching_up`, `switching`, `switched`, `done`,
    /// `cancelled` or `failed`.
    #[schema(value_type = String)]
    phase: MovePhase,
    /// The database that is left.
    from: PlaceView,
    /// The database that is moved to.
    to: PlaceView,
    /// Each table with its rows, once copying has begun.
    #[schema(value_type = Vec<TableView>)]
    tables: serde_json::Value,
    /// What kept it from getting on, the last time; it is tried again unless the phase is `failed`.
    error: Option<FailureView>,
    /// When it was asked for.
    created_at: DateTime<Utc>,
    /// When it began.
    started_at: Option<DateTime<Utc>>,
    /// Since when the new database is in use.
    switched_at: Option<DateTime<Utc>>,
    /// When it was over.
    finished_at: Option<DateTime<Utc>>,
    /// Whether the database that was left is still kept.
    previous_kept: bool,
}

/// One side of a move.
#[derive(Serialize, ToSchema)]
struct PlaceView {
    /// Whose it is.
    mode: DatabaseMode,
    /// Its host and port.
    host: Option<String>,
}

/// How far a table has come.
#[derive(Serialize, ToSchema)]
struct TableView {
    /// Its name.
    table: String,
    /// Rows that were copied.
    copied: u64,
    /// Rows there were when copying began.
    of: u64,
}

/// What kept a move from getting on.
#[derive(Serialize, ToSchema)]
struct FailureView {
    /// A stable word.
    code: String,
    /// What happened.
    detail: String,
    /// What to do about it.
    remedy: &'static str,
}

/// What becomes of the former database.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct DropQuery {
    /// Leave it as it is and forget its address, where it cannot be reached any more. Only for a
    /// database of the client's own.
    #[serde(default)]
    forget: bool,
}

/// Begins a move.
pub(super) async fn begin(
    app: &Arc<App>,
    caller: &ClientCaller,
    to: To,
) -> Result<Response, Problem> {
    Ok(match moving::begin(app, caller, to).await? {
        Begun::Connected(connected) => Json(ConnectedView::from(*connected)).into_response(),
        Begun::Moving(begun) => accepted(Some(*begun)),
    })
}

/// Shows how far the latest move has come.
#[utoipa::path(get, path = "/api/client/v1/database/move", tag = "client",
    responses((status = 200, body = MoveAnswer)))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Client(caller): Client,
) -> Result<Json<MoveAnswer>, Problem> {
    let latest = moving::latest(&app, &caller).await?;
    Ok(Json(latest.into()))
}

/// Calls a move off that has not switched yet. What it made is taken down in the background; the
/// data stays where it is.
#[utoipa::path(post, path = "/api/client/v1/database/move/cancel", tag = "client",
    responses((status = 202, body = MoveAnswer),
        (status = 409, description = "`no_move_under_way`, `database_move_too_late`", body = ProblemDocument)))]
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    Client(caller): Client,
) -> Result<Response, Problem> {
    let found = moving::call_off(&app, &caller).await?;
    Ok(accepted(Some(found)))
}

/// Drops the database that was left by the last move: a managed one whole, of one of the client's
/// own the tables of the schema `stoa`. There is no way back.
#[utoipa::path(delete, path = "/api/client/v1/database/previous", tag = "client", params(DropQuery),
    responses((status = 200, body = MoveAnswer),
        (status = 409, description = "`no_previous_database`, `database_move_under_way`", body = ProblemDocument)))]
pub(crate) async fn drop_previous(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Params(query): Params<DropQuery>,
) -> Result<Json<MoveAnswer>, Problem> {
    let kept = if query.forget {
        Kept::Forget
    } else {
        Kept::Drop
    };
    let found = moving::drop_previous(&app, &caller, kept).await?;
    Ok(Json(Some(found).into()))
}

fn accepted(found: Option<Move>) -> Response {
    (StatusCode::ACCEPTED, Json(MoveAnswer::from(found))).into_response()
}

impl From<Option<Move>> for MoveAnswer {
    fn from(found: Option<Move>) -> Self {
        Self {
            latest: found.map(MoveView::from),
        }
    }
}

impl From<Move> for MoveView {
    fn from(found: Move) -> Self {
        let error = found.error_code.zip(found.error);
        Self {
            id: found.id,
            phase: found.phase,
            from: PlaceView {
                mode: found.from_mode,
                host: found.from_host,
            },
            to: PlaceView {
                mode: found.to_mode,
                host: found.to.host,
            },
            tables: found.progress,
            error: error.map(|(code, detail)| FailureView {
                remedy: remedy(&code),
                code,
                detail,
            }),
            created_at: found.created_at,
            started_at: found.started_at,
            switched_at: found.switched_at,
            finished_at: found.finished_at,
            previous_kept: found.previous_sealed.is_some(),
        }
    }
}

impl MoveView {
    /// How far it has come, in a line for people.
    #[must_use]
    pub fn line(&self) -> String {
        let sum = |name: &str| -> u64 {
            let tables = self.tables.as_array().into_iter().flatten();
            tables.filter_map(|table| table[name].as_u64()).sum()
        };
        let (copied, of) = (sum("copied"), sum("of"));
        match &self.error {
            Some(error) => format!(
                "{}, {copied} of {of} rows; {}",
                self.phase.as_str(),
                error.detail
            ),
            None => format!("{}, {copied} of {of} rows", self.phase.as_str()),
        }
    }

    /// What kept it from its end, and what to do.
    #[must_use]
    pub fn failure(&self) -> Option<(&str, &'static str)> {
        let error = self.error.as_ref()?;
        Some((&error.detail, error.remedy))
    }
}

fn remedy(code: &str) -> &'static str {
    match code {
        "move_source_failed" => {
            "Look after the present database: the chat needs it too. The move goes on by itself when it answers."
        }
        "move_destination_failed" => {
            "Check that the new database runs, has room on its disk and lets the role create tables in the schema stoa. The move goes on by itself."
        }
        "move_destination_not_empty" => {
            "Drop the schema stoa in the new database, or use another one, and begin again."
        }
        "move_tables_in_use" => {
            "End long transactions on the tables of the schema stoa, such as a dump. The move goes on by itself."
        }
        "move_differs" => "Keep others from writing into the new database, and begin again.",
        _ => {
            "The move is tried again by itself. If it stays like this, call it off and ask the operator."
        }
    }
}
