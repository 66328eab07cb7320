//! The OpenAPI document: its beginning; the paths come from the routes.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use stoa_app::App;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};

use crate::pages::api_docs::ApiDocs;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Stoa",
        description = "Chatbots for many clients, each on its own database. Errors are problem documents (RFC 9457) with a stable `code`; lists are `{data, next_cursor}`; times are RFC 3339 in UTC; money is in minor units.",
        license(name = "AGPL-3.0-only")
    ),
    tags(
        (name = "platform", description = "The owner's side: instances. `Authorization: Bearer <platform token>`."),
        (name = "client", description = "One instance's side: its database, settings and documents. `Authorization: Bearer <client API key>`."),
        (name = "chat", description = "What the widget and the hosted page speak. `Authorization: Bearer <session token>`."),
        (name = "openai", description = "What the `openai` client libraries speak, with base URL `…/v1` and a client API key as API key. Unlike elsewhere, errors have OpenAI's shape, `{\"error\": {message, type, param, code}}`, and unknown fields of a body are passed over."),
        (name = "health", description = "For load balancers.")
    )
)]
struct Document;

/// The document without its paths.
pub(crate) fn beginning() -> OpenApi {
    let mut document = Document::openapi();
    let components = document.components.get_or_insert_default();
    for (name, what) in [
        (
            "platform_token",
            "A platform API token, made by `stoa token create`.",
        ),
        (
            "client_key",
            "A client API key, made by `POST /api/platform/v1/instances/{id}/api-keys`.",
        ),
        (
            "session_token",
            "A chat session's token, from `POST /api/chat/v1/sessions`.",
        ),
    ] {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description = Some(what.to_owned());
        components.add_security_scheme(name, SecurityScheme::Http(scheme));
    }
    document
}

/// Where the document is, for programs and for people.
pub(crate) const PATHS: [&str; 2] = ["/openapi.json", "/api/docs"];

/// Serves the finished document, and the page to read it. Both are made once.
pub(crate) fn serve(router: Router<Arc<App>>, document: &OpenApi) -> Router<Arc<App>> {
    let json: Arc<str> = document.to_json().unwrap_or_default().into();
    let page = Arc::new(ApiDocs::of(document));
    let [for_programs, for_people] = PATHS;
    router
        .route(
            for_programs,
            get(move || async move {
                (
                    [(axum::http::header::CONTENT_TYPE, "application/json")],
                    json.to_string(),
                )
            }),
        )
        .route(for_people, get(move || async move { page.respond() }))
}
