//! Routes with the policy of each: who may call it. There is no way to add a route without one,
//! and a test walks the same table with every kind of caller.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use axum::routing::MethodRouter;
use stoa_app::App;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::SecurityRequirement;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

/// Who may call a route. The extractors enforce it; the table declares and the tests compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Anybody.
    Public,
    /// A platform API token.
    PlatformToken,
    /// A client API key, for its own instance.
    ClientKey,
    /// A chat session's token, for its own session.
    Visitor,
    /// A signed-in super admin.
    SuperAdmin,
    /// A signed-in client admin, for the own instance.
    ClientAdmin,
}

/// One route as declared.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Its path, with `{name}` for parameters.
    pub path: String,
    /// Who may call it.
    pub policy: Policy,
}

/// All routes, their policies and their OpenAPI document, growing together.
pub(crate) struct Routes {
    documented: OpenApiRouter<Arc<App>>,
    pages: Router<Arc<App>>,
    table: Vec<Route>,
}

impl Routes {
    pub(crate) fn new(document: utoipa::openapi::OpenApi) -> Self {
        Self {
            documented: OpenApiRouter::with_openapi(document),
            pages: Router::new(),
            table: Vec::new(),
        }
    }

    /// Adds what `utoipa_axum::routes!` collected: one path, its methods, its documentation.
    pub(crate) fn api(mut self, policy: Policy, routes: UtoipaMethodRouter<Arc<App>>) -> Self {
        let (schemas, mut paths, router) = routes;
        for (path, item) in &mut paths.paths {
            for (method, operation) in operations(item) {
                operation.security = policy
                    .security_scheme()
                    .map(|scheme| vec![SecurityRequirement::new(scheme, Vec::<String>::new())]);
                self.table.push(Route {
                    method,
                    path: path.clone(),
                    policy,
                });
            }
        }
        self.documented = self.documented.routes((schemas, paths, router));
        self
    }

    /// Adds a page or an asset, which the OpenAPI document does not list.
    pub(crate) fn page(
        mut self,
        policy: Policy,
        method: Method,
        path: &str,
        router: MethodRouter<Arc<App>, Infallible>,
    ) -> Self {
        self.table.push(Route {
            method,
            path: path.to_owned(),
            policy,
        });
        self.pages = self.pages.route(path, router);
        self
    }

    /// Declares what is served beside this router, such as the finished document itself.
    pub(crate) fn declare(mut self, policy: Policy, method: Method, path: &str) -> Self {
        self.table.push(Route {
            method,
            path: path.to_owned(),
            policy,
        });
        self
    }

    /// The router, the document and the table.
    pub(crate) fn build(self) -> (Router<Arc<App>>, utoipa::openapi::OpenApi, Vec<Route>) {
        let (documented, document) = self.documented.split_for_parts();
        (documented.merge(self.pages), document, self.table)
    }
}

impl Policy {
    const fn security_scheme(self) -> Option<&'static str> {
        match self {
            Self::PlatformToken => Some("platform_token"),
            Self::ClientKey => Some("client_key"),
            Self::Visitor => Some("session_token"),
            Self::Public | Self::SuperAdmin | Self::ClientAdmin => None,
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    [
        (Method::GET, &mut item.get),
        (Method::PUT, &mut item.put),
        (Method::POST, &mut item.post),
        (Method::DELETE, &mut item.delete),
        (Method::PATCH, &mut item.patch),
    ]
    .into_iter()
    .filter_map(|(method, operation)| operation.as_mut().map(|operation| (method, operation)))
}
