//! A document's original bytes, as a download: never shown by the browser, whatever they are.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use stoa_app::App;
use stoa_app::documents::{self, DocumentContent};
use stoa_domain::DocumentId;

use crate::http::caller::Client;
use crate::http::id::Id;
use crate::http::problem::{Problem, ProblemDocument};

/// A document's original bytes, as an attachment.
#[utoipa::path(get, path = "/api/client/v1/documents/{id}/content", tag = "client",
    params(("id" = DocumentId, Path, description = "The document")),
    responses((status = 200, description = "The bytes", content_type = "application/octet-stream"),
        (status = 404, body = ProblemDocument)))]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    Id(id): Id<DocumentId>,
) -> Result<Response, Problem> {
    let content = documents::content(&app, &caller, id).await?;
    Ok(attachment(content))
}

fn attachment(content: DocumentContent) -> Response {
    let name = content
        .file_name
        .unwrap_or_else(|| format!("{}.md", content.title));
    let Some(bytes) = content.content else {
        return Problem::not_found().into_response();
    };
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    let media_type = HeaderValue::from_str(&content.media_type)
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox"),
    );
    let disposition = format!("attachment; filename*=UTF-8''{}", percent_encoded(&name));
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}

/// RFC 8187: everything but letters and digits as `%XX`, so no name can end the header's value.
fn percent_encoded(name: &str) -> String {
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::percent_encoded;

    #[test]
    fn a_name_cannot_leave_its_header() {
        assert_eq!(
            percent_encoded("a\"b;\r\nX: ü.md"),
            "a%22b%3B%0D%0AX%3A%20%C3%BC.md"
        );
    }
}
