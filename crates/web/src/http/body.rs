//! JSON bodies, read with a bound and refused with a sentence.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// A JSON body. Its type refuses unknown fields (`#[serde(deny_unknown_fields)]`), so that nobody
/// sets what is not theirs to set.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        require_json(&request)?;
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| unread(&rejection))?;
        parse(&bytes).map(Self)
    }
}

/// A JSON body that may be left out altogether.
pub(crate) struct MaybeBody<T>(pub(crate) T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for MaybeBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let typed = require_json(&request);
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| unread(&rejection))?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        typed?;
        parse(&bytes).map(Self)
    }
}

/// The bytes of a body did not come.
pub(crate) fn unread(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "The body is larger than this call takes.",
        );
    }
    Problem::new(
        StatusCode::BAD_REQUEST,
        "unreadable_body",
        "The body did not arrive whole.",
    )
}

/// Refuses a body that does not say that it is JSON.
pub(crate) fn require_json(request: &Request) -> Result<(), Problem> {
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "Send JSON with the header “Content-Type: application/json”.",
    ))
}

/// Parses a JSON text into a body type.
///
/// # Errors
/// 400 `malformed_json` when it is no JSON; 422 `invalid_body`, with the field, when it is JSON of
/// another shape or holds NUL characters, which PostgreSQL cannot store.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    refuse_nul(bytes)?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| refusal(&error, bytes))?;
    deserializer.end().map_err(|error| malformed(&error))?;
    // A list would be read as the fields in their order.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(Problem::invalid_field("body", "a JSON object"));
    }
    Ok(value)
}

fn refusal(error: &serde_path_to_error::Error<serde_json::Error>, bytes: &[u8]) -> Problem {
    use serde_json::error::Category;
    // A wrong field may stand before the place where the text stops being JSON, which comes first.
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
        return malformed(&error);
    }
    match error.inner().classify() {
        Category::Data => {
            let path = error.path().to_string();
            let field = if path == "." { "body".to_owned() } else { path };
            Problem::invalid_field(&field, without_position(&error.inner().to_string()))
        }
        Category::Io | Category::Syntax | Category::Eof => malformed(error.inner()),
    }
}

fn malformed(error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let what = without_position(&error.to_string());
    Problem::new(
        StatusCode::BAD_REQUEST,
        "malformed_json",
        format!("The body is not JSON: {what}, at line {line}, column {column}."),
    )
}

fn without_position(message: &str) -> String {
    message
        .split(" at line ")
        .next()
        .unwrap_or(message)
        .to_owned()
}

/// `\u0000` is legal JSON and cannot be stored. The cheap search comes first: only a body in which
/// it may stand is parsed twice.
fn refuse_nul(bytes: &[u8]) -> Result<(), Problem> {
    const ESCAPED: &[u8] = br"\u0000";
    if !bytes.windows(ESCAPED.len()).any(|window| window == ESCAPED) {
        return Ok(());
    }
    let value: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    match field_with_nul(&value, "") {
        Some(field) => Err(Problem::invalid_field(
            &field,
            "it contains a NUL character (\\u0000); leave it out",
        )),
        None => Ok(()),
    }
}

fn field_with_nul(value: &serde_json::Value, path: &str) -> Option<String> {
    use serde_json::Value;
    let child = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    match value {
        Value::String(text) => text.contains('\0').then(|| path.to_owned()),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| field_with_nul(item, &child(&index.to_string()))),
        Value::Object(fields) => fields.iter().find_map(|(name, item)| {
            if name.contains('\0') {
                Some(path.to_owned())
            } else {
                field_with_nul(item, &child(name))
            }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Order {
        #[expect(dead_code, reason = "read by serde only")]
        name: String,
        #[expect(dead_code, reason = "read by serde only")]
        lines: Vec<Line>,
    }

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Line {
        #[expect(dead_code, reason = "read by serde only")]
        count: u32,
    }

    fn refused(text: &str) -> Problem {
        parse::<Order>(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn what_is_no_json_is_400_and_says_where() {
        let problem = refused("{\"name\": ");
        assert_eq!(
            (problem.status().as_u16(), problem.code()),
            (400, "malformed_json")
        );
        assert!(problem.detail().contains("line 1"), "{}", problem.detail());
        assert_eq!(
            refused("{\"name\":\"a\",\"lines\":[]} x").code(),
            "malformed_json"
        );
        assert_eq!(refused("{\"unknown\":}").code(), "malformed_json");
    }

    #[test]
    fn json_of_another_shape_is_422_and_names_the_field() {
        let problem = refused(r#"{"name":"a","lines":[{"count":"many"}]}"#);
        assert_eq!(
            (problem.status().as_u16(), problem.code()),
            (422, "invalid_body")
        );
        assert!(
            problem.detail().contains("lines[0].count"),
            "{}",
            problem.detail()
        );
        assert!(
            refused(r#"{"name":"a","lines":[],"role":"owner"}"#)
                .detail()
                .contains("role")
        );
        assert!(refused(r#"{"lines":[]}"#).detail().contains("name"));
    }

    #[test]
    fn nul_is_refused_only_where_it_is_one() {
        assert!(
            refused(r#"{"name":"a\u0000","lines":[]}"#)
                .detail()
                .contains("NUL")
        );
        assert!(parse::<Order>(br#"{"name":"a\\u0000","lines":[]}"#).is_ok());
    }
}
