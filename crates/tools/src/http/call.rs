//! One call: from arguments to a request, and from an answer to an outcome.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value};
use stoa_domain::{ToolMethod, Violation};
use stoa_outbound::{Bounds, FetchRequest, Outbound};
use url::Url;
use uuid::Uuid;

use super::HttpTool;
use super::address::{Misfit, plain};
use crate::Outcome;
use crate::door::{judge, unanswered};
use crate::reply::{self, Body};
use crate::schema::misfits;

/// The most bytes of a body that is sent.
const MOST_SENT: usize = 64 * 1024;

/// A request whose arguments fit.
pub(super) struct Prepared {
    pub(super) url: Url,
    body: Option<Bytes>,
}

impl HttpTool {
    /// Where arguments go: into the placeholders of their names, the others into a body of JSON, or
    /// into the query where the method has none.
    pub(super) fn prepare(&self, input: &Map<String, Value>) -> Result<Prepared, Outcome> {
        self.schema.check(input).map_err(|wrong| misfits(&wrong))?;
        let mut others = Map::new();
        for (name, value) in input {
            if !self.schema.declares(name) {
                return Err(misfit(name, "is not an argument of this tool"));
            }
            if !self.address.arguments().any(|placed| placed == name) {
                others.insert(name.clone(), value.clone());
            }
        }
        let (query, body) = if self.method.has_body() {
            (
                Vec::new(),
                Some(Bytes::from(Value::Object(others).to_string())),
            )
        } else {
            (self.query(&others)?, None)
        };
        if body.as_ref().is_some_and(|it| it.len() > MOST_SENT) {
            return Err(misfit("", "are more than 64 KiB: send less at once"));
        }
        let url = self.address.fill(input, &query);
        let url = url.map_err(|Misfit { field, message }| misfit(&field, message))?;
        Ok(Prepared { url, body })
    }

    /// Arguments without a placeholder, as further parts of the query. A list of plain values is
    /// its name repeated.
    fn query(&self, others: &Map<String, Value>) -> Result<Vec<(String, String)>, Outcome> {
        let mut query = Vec::new();
        for (name, value) in others {
            if self.address.has_query(name) {
                return Err(misfit(name, "has a fixed value: leave it out"));
            }
            let values = match value {
                Value::Array(values) => values.as_slice(),
                value => std::slice::from_ref(value),
            };
            for value in values {
                let value = plain(name, value);
                let value = value.map_err(|Misfit { field, message }| misfit(&field, message))?;
                query.extend(value.map(|value| (name.clone(), value)));
            }
        }
        Ok(query)
    }

    /// Sends it.
    pub(super) async fn send(
        &self,
        outbound: &Outbound,
        Prepared { url, body }: Prepared,
        idempotency_key: Option<Uuid>,
    ) -> Outcome {
        if let Err(refused) = judge(outbound, &url) {
            return Outcome::failed(refused.code(), format!("Nothing was sent: {refused}."));
        }
        let agreeable = HeaderValue::from_static("application/json, text/*;q=0.9, */*;q=0.1");
        let mut request = FetchRequest::new(method(self.method), url)
            .header(header::ACCEPT, agreeable)
            .header(header::USER_AGENT, HeaderValue::from_static("Stoa"));
        if let Some(body) = body {
            let json = HeaderValue::from_static("application/json");
            request = request.header(header::CONTENT_TYPE, json).body(body);
        }
        request = self.headers.put_on(request);
        if let Some(key) = idempotency_key
            && let Ok(key) = HeaderValue::try_from(key.to_string())
        {
            request = request.header(http::HeaderName::from_static("idempotency-key"), key);
        }
        let time = Duration::from_millis(self.timeout_ms.into());
        let bounds = Bounds {
            total: time,
            headers: time,
            idle: time,
            // The reader stops by itself, and keeps what it has.
            body_bytes: usize::MAX,
            redirects: 0,
            ..Bounds::default()
        };
        let secrets = self.secrets();
        let outcome = match outbound.fetch(request, bounds).await {
            Ok(fetched) => {
                let status = fetched.status();
                match reply::read(fetched, &secrets).await {
                    Ok(body) => answered(status, &body),
                    Err(error) => unanswered(&error),
                }
            }
            Err(error) => unanswered(&error),
        };
        Outcome {
            content: reply::told(&outcome.content, &secrets),
            ..outcome
        }
    }
}

fn method(method: ToolMethod) -> Method {
    match method {
        ToolMethod::Get => Method::GET,
        ToolMethod::Post => Method::POST,
        ToolMethod::Put => Method::PUT,
        ToolMethod::Patch => Method::PATCH,
        ToolMethod::Delete => Method::DELETE,
    }
}

/// What the server said.
fn answered(status: StatusCode, body: &Body) -> Outcome {
    if status.is_redirection() {
        let why = "The tool's server redirects, which is not followed.";
        return Outcome::failed("redirected", why.to_owned());
    }
    let is_error = status.is_client_error() || status.is_server_error();
    let told = match body {
        Body::Text(text) => text.trim().to_owned(),
        Body::Other { bytes: 0, .. } => String::new(),
        Body::Other {
            media_type,
            bytes,
            more,
        } => {
            let kind = match media_type.as_str() {
                "" => "something that is no text",
                kind => kind,
            };
            let or_more = if *more { " or more" } else { "" };
            let told = format!(
                "The tool's server answered with {kind}, {bytes} bytes{or_more}, which is not text and was not read."
            );
            if !is_error {
                return Outcome::failed("not_text", told);
            }
            told
        }
    };
    let reason = status.canonical_reason().unwrap_or_default();
    let line = format!("{} {reason}", status.as_u16());
    let line = line.trim();
    match (is_error, told.as_str()) {
        (true, "") => Outcome::failed("http_status", format!("The tool's server answered {line}.")),
        (true, told) => Outcome::failed(
            "http_status",
            format!("The tool's server answered {line}:\n{told}"),
        ),
        (false, "") => Outcome::done(format!("The tool's server answered {line}, without words.")),
        (false, _) => Outcome::done(told),
    }
}

fn misfit(field: &str, message: &str) -> Outcome {
    misfits(&[Violation {
        field: field.to_owned(),
        message: message.to_owned(),
    }])
}
