//! The shapes of tools. Headers go in and never come out.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stoa_app::tools::{Changes, Shown, Trial};
use stoa_domain::{ToolEffect, ToolId, ToolMethod};
use utoipa::ToSchema;

use crate::http::patch::{clearable, given};

/// A tool: an HTTP call that the bot may make.
#[derive(Serialize, ToSchema)]
pub(crate) struct ToolView {
    /// Its id.
    id: ToolId,
    /// What the model calls it.
    name: String,
    /// What the model is told of it.
    description: String,
    /// The JSON schema of its arguments, an object.
    #[schema(value_type = Object)]
    parameters: Value,
    /// How it is called.
    method: ToolMethod,
    /// The address with its placeholders. Null when what is stored does not open here.
    url: Option<String>,
    /// Whether the stored address does not open here, as in a database that was moved from another
    /// deployment: until `url` and `headers` are given again, the tool is not offered to any model.
    needs_url: bool,
    /// Its headers, by name. Their values are never shown.
    headers: Vec<ToolHeaderView>,
    /// Whether a call changes something. If so, the visitor is asked before each one.
    effect: ToolEffect,
    /// How long a call may take, in milliseconds.
    timeout_ms: i32,
    /// Whether the model is told of it at all.
    enabled: bool,
    /// When it was added.
    created_at: DateTime<Utc>,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
}

/// A header of a tool.
#[derive(Serialize, ToSchema)]
pub(crate) struct ToolHeaderView {
    /// Its name.
    name: String,
    /// The last four characters of its value.
    hint: String,
}

impl From<Shown> for ToolView {
    fn from(shown: Shown) -> Self {
        let settings = shown.stored.settings;
        let (needs_url, url, headers) = match shown.place {
            Some(place) => (false, Some(place.url), place.headers),
            None => (true, None, Vec::new()),
        };
        let headers = headers.into_iter();
        Self {
            id: shown.stored.id,
            name: settings.name,
            description: settings.description,
            parameters: settings.parameters,
            method: settings.method,
            url,
            needs_url,
            headers: headers
                .map(|(name, hint)| ToolHeaderView { name, hint })
                .collect(),
            effect: settings.effect,
            timeout_ms: settings.timeout_ms,
            enabled: settings.enabled,
            created_at: shown.stored.created_at,
            updated_at: shown.stored.updated_at,
        }
    }
}

/// A new tool.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTool {
    /// What the model calls it: 1 to 40 letters, digits and underscores, beginning with a letter.
    name: String,
    /// What it does and when to use it, for the model: 1 to 2,000 characters.
    description: String,
    /// The JSON schema of its arguments, an object of at most 16 KiB. Arguments that it does not
    /// describe are refused unless it has `additionalProperties`. No arguments when left out.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    parameters: Option<Value>,
    /// How it is called.
    method: ToolMethod,
    /// The address. Placeholders such as `{order_id}` may stand in the path and for values of the
    /// query. Other arguments go as JSON in the body, or in the query with GET and DELETE. It is
    /// shown to whoever may read tools: credentials belong into headers.
    url: String,
    /// Headers by name, at most 20. They are sealed and never shown.
    #[serde(default)]
    #[schema(value_type = Option<BTreeMap<String, String>>, write_only)]
    headers: Option<BTreeMap<String, SecretString>>,
    /// Whether a call changes something. When left out, GET reads and all others write. A POST may
    /// be said to read; PUT, PATCH and DELETE may not.
    effect: Option<ToolEffect>,
    /// How long a call may take, 1,000 to 20,000 ms; 10,000 when left out.
    timeout_ms: Option<i32>,
    /// Whether the model is told of it at all; true when left out.
    enabled: Option<bool>,
}

impl From<NewTool> for Changes {
    fn from(new: NewTool) -> Self {
        let headers = new.headers.unwrap_or_default().into_iter();
        Self {
            name: Some(new.name),
            description: Some(new.description),
            parameters: new.parameters,
            method: Some(new.method),
            url: Some(new.url),
            headers: Some(Some(
                headers.map(|(name, value)| (name, Some(value))).collect(),
            )),
            effect: Some(new.effect),
            timeout_ms: new.timeout_ms,
            enabled: new.enabled,
        }
    }
}

/// A change of a tool: what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolChanges {
    /// What the model calls it.
    #[serde(default, deserialize_with = "given")]
    name: Option<String>,
    /// What it does and when to use it, for the model.
    #[serde(default, deserialize_with = "given")]
    description: Option<String>,
    /// The JSON schema of its arguments, as a whole.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Object>)]
    parameters: Option<Value>,
    /// How it is called.
    #[serde(default, deserialize_with = "given")]
    method: Option<ToolMethod>,
    /// The address. With another scheme, host or port, every header must be sent again.
    #[serde(default, deserialize_with = "given")]
    url: Option<String>,
    /// Headers by name: one with a value is set, one with null is removed, others stay. Null removes
    /// all.
    #[serde(default, deserialize_with = "clearable")]
    #[schema(value_type = Option<BTreeMap<String, Option<String>>>, write_only)]
    headers: Option<Option<BTreeMap<String, Option<SecretString>>>>,
    /// Whether a call changes something; null for what is usual with the method.
    #[serde(default, deserialize_with = "clearable")]
    #[schema(value_type = Option<ToolEffect>)]
    effect: Option<Option<ToolEffect>>,
    /// How long a call may take, in milliseconds.
    #[serde(default, deserialize_with = "given")]
    timeout_ms: Option<i32>,
    /// Whether the model is told of it at all.
    #[serde(default, deserialize_with = "given")]
    enabled: Option<bool>,
}

impl From<ToolChanges> for Changes {
    fn from(changes: ToolChanges) -> Self {
        Self {
            name: changes.name,
            description: changes.description,
            parameters: changes.parameters,
            method: changes.method,
            url: changes.url,
            headers: changes.headers,
            effect: changes.effect,
            timeout_ms: changes.timeout_ms,
            enabled: changes.enabled,
        }
    }
}

/// A call to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolTest {
    /// The arguments, as a model would give them.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(crate) arguments: Map<String, Value>,
}

/// How a call went.
#[derive(Serialize, ToSchema)]
pub(crate) struct ToolTestView {
    /// Whether the tool gave what a model can use.
    ok: bool,
    /// What a model would have been told.
    outcome: ToolOutcomeView,
    /// How long it took, in milliseconds.
    took_ms: u64,
    /// Where the call went; null when nothing was sent.
    request: Option<ToolRequestView>,
}

/// What came of a call.
#[derive(Serialize, ToSchema)]
pub(crate) struct ToolOutcomeView {
    /// What the tool gave, or a sentence on why it gave nothing.
    content: String,
    /// A stable word where it failed: `invalid_arguments`, `http_status`, `redirected`, `not_text`,
    /// `timeout`, `unreachable`, `answer_broken`, `address_forbidden`, `not_encrypted` or
    /// `url_needed`.
    error: Option<&'static str>,
}

/// Where a call went.
#[derive(Serialize, ToSchema)]
pub(crate) struct ToolRequestView {
    /// The method.
    method: ToolMethod,
    /// The host.
    host: String,
    /// The path, with the arguments in it.
    path: String,
}

impl From<Trial> for ToolTestView {
    fn from(trial: Trial) -> Self {
        Self {
            ok: trial.outcome.error.is_none(),
            outcome: ToolOutcomeView {
                content: trial.outcome.content,
                error: trial.outcome.error,
            },
            took_ms: u64::try_from(trial.took.as_millis()).unwrap_or(u64::MAX),
            request: trial.sent_to.map(|sent| ToolRequestView {
                method: sent.method,
                host: sent.host,
                path: sent.path,
            }),
        }
    }
}
