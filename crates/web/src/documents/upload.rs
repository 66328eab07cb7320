//! Documents as they come: a file, a text, a question with its answer.

use std::sync::Arc;

use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest as _, Multipart, Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use stoa_app::App;
use stoa_app::documents::{self, NewContent};
use utoipa::ToSchema;

use super::view::DocumentView;
use crate::http::body::Body;
use crate::http::caller::Client;
use crate::http::once::Key;
use crate::http::problem::{Problem, ProblemDocument};

/// A document as JSON: a text, or a question with its answer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDocument {
    /// The title of a text.
    title: Option<String>,
    /// A text, in Markdown.
    text: Option<String>,
    /// A question that people ask.
    question: Option<String>,
    /// Its answer, in Markdown.
    answer: Option<String>,
    /// An address on the web; not read yet.
    url: Option<String>,
}

/// A file and, if wanted, its title.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "describes the multipart body in the OpenAPI document only"
)]
pub(crate) struct UploadForm {
    /// Plain text, Markdown or HTML.
    #[schema(format = Binary, content_media_type = "application/octet-stream")]
    file: String,
    /// The title; the file's name when left out.
    title: Option<String>,
}

/// Takes a document: a file as multipart, or a text or a question with its answer as JSON. It is
/// indexed in the background.
#[utoipa::path(post, path = "/api/client/v1/documents", tag = "client",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes it safe to send again for 24 h")),
    request_body(content((NewDocument = "application/json"), (UploadForm = "multipart/form-data"))),
    responses(
        (status = 202, body = DocumentView),
        (status = 413, description = "Too large", body = ProblemDocument),
        (status = 415, description = "Of no format that is taken", body = ProblemDocument),
        (status = 422, body = ProblemDocument)))]
pub(crate) async fn add(
    State(app): State<Arc<App>>,
    Client(caller): Client,
    request: Request,
) -> Result<Response, Problem> {
    let key = Key::of(&request)?;
    let document = if is_multipart(&request) {
        let form = Multipart::from_request(request, &())
            .await
            .map_err(|_| not_multipart())?;
        read_form(form).await?
    } else {
        let Body(new) = Body::<NewDocument>::from_request(request, &()).await?;
        (None, json_content(new)?)
    };
    let once = key.with(document, |(title, content)| said(title.as_deref(), content));
    let add = async |app: Arc<App>, caller, (title, content)| {
        let document = documents::add(&app, &caller, title, content).await?;
        Ok(DocumentView::from(document))
    };
    once.run(&app, &caller, StatusCode::ACCEPTED, add).await
}

/// What makes a document the same when it is sent again; a form's boundaries do not.
fn said<'a>(title: Option<&'a str>, content: &'a NewContent) -> Vec<&'a [u8]> {
    let text = |text: &'a Option<String>| text.as_deref().unwrap_or_default().as_bytes();
    let mut parts = vec![title.unwrap_or_default().as_bytes()];
    parts.extend(match content {
        NewContent::File {
            name,
            media_type,
            bytes,
        } => [b"file".as_slice(), text(name), text(media_type), bytes],
        NewContent::Text { title, text } => [b"text", title.as_bytes(), text.as_bytes(), b""],
        NewContent::Question { question, answer } => {
            [b"question", question.as_bytes(), answer.as_bytes(), b""]
        }
    });
    parts
}

fn is_multipart(request: &Request) -> bool {
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| text.to_ascii_lowercase().starts_with("multipart/form-data"))
}

fn json_content(new: NewDocument) -> Result<NewContent, Problem> {
    match new {
        NewDocument { url: Some(_), .. } => Err(Problem::invalid_field(
            "url",
            "pages on the web are not read yet; send the page as a file or its text as text",
        )),
        NewDocument {
            title: Some(title),
            text: Some(text),
            question: None,
            answer: None,
            ..
        } => Ok(NewContent::Text { title, text }),
        NewDocument {
            title: None,
            text: None,
            question: Some(question),
            answer: Some(answer),
            ..
        } => Ok(NewContent::Question { question, answer }),
        _ => Err(Problem::invalid_field(
            "body",
            "send title and text, or question and answer",
        )),
    }
}

async fn read_form(mut form: Multipart) -> Result<(Option<String>, NewContent), Problem> {
    let (mut title, mut file) = (None, None);
    while let Some(field) = form.next_field().await.map_err(|error| broken(&error))? {
        match field.name() {
            Some("file") if file.is_none() => file = Some(read_file(field).await?),
            Some("title") if title.is_none() => {
                title = Some(field.text().await.map_err(|error| broken(&error))?);
            }
            _ => {
                return Err(Problem::invalid_field(
                    "body",
                    "one file in the field “file”, and “title” if wanted",
                ));
            }
        }
    }
    let file = file.ok_or_else(|| Problem::invalid_field("file", "the document itself"))?;
    Ok((title, file))
}

async fn read_file(field: Field<'_>) -> Result<NewContent, Problem> {
    let name = field
        .file_name()
        .map(|name| name.chars().take(255).collect::<String>());
    if name.as_deref().is_some_and(|name| name.contains('\0')) {
        return Err(Problem::invalid_field(
            "file",
            "a file name without NUL characters",
        ));
    }
    let media_type = field.content_type().map(str::to_owned);
    let bytes = field
        .bytes()
        .await
        .map_err(|error| broken(&error))?
        .to_vec();
    Ok(NewContent::File {
        name,
        media_type,
        bytes,
    })
}

fn broken(error: &MultipartError) -> Problem {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let megabytes = documents::LARGEST_DOCUMENT / (1024 * 1024);
        return Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "document_too_large",
            format!("A document may have at most {megabytes} MiB."),
        );
    }
    not_multipart()
}

fn not_multipart() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "malformed_multipart",
        "The body is not a whole multipart form. Send the file in the field “file”.",
    )
}
