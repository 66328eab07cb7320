//! The API's calls as a page to read, made of the OpenAPI document.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{Content, OpenApi, RefOr};

use super::headers;
use super::parts::PLATFORM_NAME;
use crate::http::assets::Assets;
use crate::http::problem::Problem;

/// The page; the same for everybody.
#[derive(Clone, Template)]
#[template(path = "api_docs.html")]
pub(crate) struct ApiDocs {
    assets: Assets,
    platform_name: &'static str,
    description: String,
    groups: Vec<Group>,
}

#[derive(Clone)]
struct Group {
    name: String,
    description: String,
    calls: Vec<Call>,
}

#[derive(Clone)]
struct Call {
    method: &'static str,
    path: String,
    summary: String,
    body: String,
    answers: String,
}

impl ApiDocs {
    /// The calls of a document, by its tags.
    pub(crate) fn of(document: &OpenApi) -> Self {
        let tags = document.tags.iter().flatten();
        let groups = tags.map(|tag| Group {
            name: tag.name.clone(),
            description: plain(tag.description.as_deref()),
            calls: calls(document, &tag.name),
        });
        Self {
            assets: Assets,
            platform_name: PLATFORM_NAME,
            description: plain(document.info.description.as_deref()),
            groups: groups.collect(),
        }
    }

    /// `GET /api/docs`.
    pub(crate) fn respond(&self) -> Result<Response, Problem> {
        headers::bare(StatusCode::OK, self)
    }
}

fn calls(document: &OpenApi, tag: &str) -> Vec<Call> {
    let of_path = |(path, item): (&String, &PathItem)| {
        let tagged = operations(item)
            .into_iter()
            .filter(|(_, operation)| operation.tags.iter().flatten().any(|known| known == tag));
        tagged
            .map(|(method, operation)| call(method, path, operation))
            .collect::<Vec<_>>()
    };
    document.paths.paths.iter().flat_map(of_path).collect()
}

fn operations(item: &PathItem) -> Vec<(&'static str, &Operation)> {
    let methods = [
        ("GET", &item.get),
        ("POST", &item.post),
        ("PUT", &item.put),
        ("PATCH", &item.patch),
        ("DELETE", &item.delete),
    ];
    let present = methods
        .into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_ref()?)));
    present.collect()
}

fn call(method: &'static str, path: &str, operation: &Operation) -> Call {
    let statuses = operation
        .responses
        .responses
        .keys()
        .cloned()
        .collect::<Vec<_>>();
    Call {
        method,
        path: path.to_owned(),
        summary: plain(operation.summary.as_deref()),
        body: body(operation),
        answers: statuses.join(", "),
    }
}

/// A text of the document without the marks of Markdown that it uses.
fn plain(text: Option<&str>) -> String {
    text.unwrap_or_default().replace('`', "")
}

/// The names of what a call takes, each with its media type.
fn body(operation: &Operation) -> String {
    let Some(RefOr::T(body)) = &operation.request_body else {
        return String::new();
    };
    let named = body
        .content
        .iter()
        .map(|(media_type, content)| match name_of(content) {
            Some(name) => format!("{name} ({media_type})"),
            None => media_type.clone(),
        });
    named.collect::<Vec<_>>().join(", ")
}

fn name_of(content: &RefOr<Content>) -> Option<&str> {
    let RefOr::T(content) = content else {
        return None;
    };
    match &content.schema {
        Some(RefOr::Ref(reference)) => reference.ref_location.rsplit('/').next(),
        _ => None,
    }
}
