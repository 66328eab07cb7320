//! Scripts, styles and fonts, compiled in, under addresses that hold a hash of their content, so
//! that browsers may keep them for ever.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};

use super::problem::Problem;

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Files;

const FOLDER: &str = "dist/";
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// Precompressed neighbours of a file, best first: `Accept-Encoding` token and file ending.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// The assets' addresses, for templates.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Assets;

/// Both ways between a file's name and the last part of its address.
struct Names {
    hashed: HashMap<String, String>,
    plain: HashMap<String, String>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let mut names = Names {
        hashed: HashMap::new(),
        plain: HashMap::new(),
    };
    for path in Files::iter() {
        let Some(name) = path.strip_prefix(FOLDER) else {
            continue;
        };
        if ENCODINGS.iter().any(|(_, ending)| name.ends_with(ending)) {
            continue;
        }
        let Some(file) = Files::get(&path) else {
            continue;
        };
        let hashed = hashed_name(name, &file.data);
        names.plain.insert(hashed.clone(), name.to_owned());
        names.hashed.insert(name.to_owned(), hashed);
    }
    names
});

fn hashed_name(name: &str, content: &[u8]) -> String {
    let mut hash = String::new();
    for byte in &Sha256::digest(content)[..6] {
        let _ = write!(hash, "{byte:02x}");
    }
    match name.rsplit_once('.') {
        Some((stem, ending)) => format!("{stem}.{hash}.{ending}"),
        None => format!("{name}.{hash}"),
    }
}

impl Assets {
    /// The address of a file, given its name in `assets/dist`.
    ///
    /// A name that is not there gives an address that answers 404; [`Assets::require`] at start
    /// keeps that from happening.
    pub(crate) fn asset(self, name: &str) -> String {
        let hashed = NAMES.hashed.get(name).map_or(name, String::as_str);
        format!("/assets/{hashed}")
    }

    /// Which of these files were not built.
    pub(crate) fn missing(names: &[&'static str]) -> Vec<&'static str> {
        names
            .iter()
            .copied()
            .filter(|name| !NAMES.hashed.contains_key(*name))
            .collect()
    }
}

/// `GET /assets/{name}`.
pub(crate) async fn serve(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some(plain) = NAMES.plain.get(&name) else {
        return Problem::not_found().into_response();
    };
    let accepted = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let Some((content, encoding)) = best_content(plain, accepted) else {
        return Problem::not_found().into_response();
    };
    let mut response = (StatusCode::OK, content).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type(plain));
    headers.insert(header::CACHE_CONTROL, FOREVER);
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if let Some(encoding) = encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

fn best_content(name: &str, accepted: &str) -> Option<(Bytes, Option<&'static str>)> {
    let accepts = |token: &str| {
        accepted
            .split(',')
            .any(|part| part.split(';').next().is_some_and(|p| p.trim() == token))
    };
    for (token, ending) in ENCODINGS {
        if accepts(token)
            && let Some(content) = content(&format!("{name}{ending}"))
        {
            return Some((content, Some(token)));
        }
    }
    content(name).map(|content| (content, None))
}

fn content(name: &str) -> Option<Bytes> {
    Files::get(&format!("{FOLDER}{name}")).map(|file| match file.data {
        std::borrow::Cow::Borrowed(content) => Bytes::from_static(content),
        std::borrow::Cow::Owned(content) => Bytes::from(content),
    })
}

fn content_type(name: &str) -> HeaderValue {
    let kind = match name.rsplit('.').next().unwrap_or_default() {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "woff2" => "font/woff2",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        _ => "application/octet-stream",
    };
    HeaderValue::from_static(kind)
}
