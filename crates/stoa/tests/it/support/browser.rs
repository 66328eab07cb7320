//! A browser as far as the pages need one: cookies, forms, no redirects of its own.

use std::collections::BTreeMap;

use reqwest::{Method, RequestBuilder, Response};
use url::form_urlencoded;

use super::Caller;

/// A browser with its cookies.
#[derive(Default)]
pub struct Browser {
    cookies: BTreeMap<String, String>,
}

/// A page as it was answered.
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// Where it redirects to; empty when it does not.
    pub location: String,
    /// The cookies as they were set.
    pub set_cookies: Vec<String>,
    /// The other headers.
    pub headers: reqwest::header::HeaderMap,
    /// The HTML.
    pub html: String,
}

impl Page {
    /// The value of a hidden field.
    pub fn field(&self, name: &str) -> String {
        let mark = format!("name=\"{name}\" value=\"");
        let start = self.html.find(&mark).map(|at| at + mark.len());
        let start = start.unwrap_or_else(|| panic!("a field {name} in {}", self.html));
        let rest = &self.html[start..];
        rest[..rest.find('"').expect("a quote")].to_owned()
    }

    /// The content security policy.
    pub fn policy(&self) -> &str {
        self.headers["content-security-policy"]
            .to_str()
            .expect("plain text")
    }
}

impl Browser {
    /// Opens an address.
    pub async fn open(&mut self, server: &Caller, path: &str) -> Page {
        let request = server.anonymous(Method::GET, path);
        self.send(request).await
    }

    /// Sends a form from a page of the same origin.
    pub async fn submit(&mut self, server: &Caller, path: &str, fields: &[(&str, &str)]) -> Page {
        self.submit_from(server, path, fields, &server.base).await
    }

    /// Sends a form from a page of this origin.
    pub async fn submit_from(
        &mut self,
        server: &Caller,
        path: &str,
        fields: &[(&str, &str)],
        origin: &str,
    ) -> Page {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let request = server
            .anonymous(Method::POST, path)
            .header("origin", origin)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        self.send(request).await
    }

    /// What a cookie holds.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    /// Takes over a cookie, as somebody would who has stolen it.
    pub fn set_cookie(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    async fn send(&mut self, request: RequestBuilder) -> Page {
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = request.header("accept", "text/html");
        let request = if cookies.is_empty() {
            request
        } else {
            request.header("cookie", cookies.join("; "))
        };
        let page = read(request.send().await.expect("an answer")).await;
        for cookie in &page.set_cookies {
            let (name, rest) = cookie.split_once('=').expect("a cookie");
            let value = rest.split(';').next().unwrap_or_default();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.set_cookie(name, value);
            }
        }
        page
    }
}

async fn read(response: Response) -> Page {
    let text = |value: &reqwest::header::HeaderValue| value.to_str().expect("text").to_owned();
    let headers = response.headers().clone();
    Page {
        status: response.status().as_u16(),
        location: headers.get("location").map(text).unwrap_or_default(),
        set_cookies: headers.get_all("set-cookie").iter().map(text).collect(),
        html: response.text().await.expect("a body"),
        headers,
    }
}
