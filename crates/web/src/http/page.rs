//! Lists in pages.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use stoa_app::{Cursor, Page, PageRequest};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;

const DEFAULT_LIMIT: u16 = 50;
const MAX_LIMIT: u16 = 200;

/// Which part of a list is wanted.
#[derive(Deserialize, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// How many, 1 to 200; 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
    /// The `next_cursor` of the part before.
    cursor: Option<String>,
}

/// A part of a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct List<T: ToSchema> {
    /// The items.
    data: Vec<T>,
    /// Where the next part begins; null when this is the last.
    next_cursor: Option<String>,
}

impl PageQuery {
    /// How many are wanted.
    pub(crate) fn limit(&self) -> Result<u16, Problem> {
        match self.limit.unwrap_or(DEFAULT_LIMIT) {
            limit @ 1..=MAX_LIMIT => Ok(limit),
            _ => Err(Problem::invalid_field("limit", "1 to 200")),
        }
    }

    /// The cursor as it was sent.
    pub(crate) fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// A page of a list in a client's database.
    pub(crate) fn request(&self) -> Result<PageRequest, Problem> {
        let after = match self.cursor() {
            None => None,
            Some(text) => Some(Cursor::parse(text).ok_or_else(bad_cursor)?),
        };
        Ok(PageRequest {
            limit: self.limit()?,
            after,
        })
    }
}

/// The cursor is none of ours.
pub(crate) fn bad_cursor() -> Problem {
    Problem::invalid_field("cursor", "the next_cursor of the page before, unchanged")
}

impl<S: Send + Sync> FromRequestParts<S> for PageQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<Self>::from_request_parts(parts, state).await;
        query
            .map(|Query(page)| page)
            .map_err(|_| Problem::invalid_field("limit", "a number from 1 to 200"))
    }
}

impl<T: ToSchema> List<T> {
    /// A list with the place where it goes on.
    pub(crate) fn new(data: Vec<T>, next_cursor: Option<String>) -> Self {
        Self { data, next_cursor }
    }

    /// A page of a client's database.
    pub(crate) fn from_page<R: Into<T>>(page: Page<R>) -> Self {
        let next_cursor = page.next_cursor.map(|cursor| cursor.to_string());
        Self {
            data: page.data.into_iter().map(Into::into).collect(),
            next_cursor,
        }
    }
}
