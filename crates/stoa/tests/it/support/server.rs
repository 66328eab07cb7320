//! The product's server in this process: its real router on a real socket, a platform database of
//! the test's own, and managed client databases on the same throwaway cluster.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use secrecy::SecretString;
use serde_json::Value;
use stoa_app::chat::{self, sweep};
use stoa_app::{App, Options, start};
use stoa_client_db::Migrations;
use stoa_domain::seal::MasterKeyRing;
use stoa_domain::token::{Token, TokenKind};
use stoa_domain::{ApiTokenId, Clock, Random};
use stoa_knowledge::ChildSettings;
use stoa_outbound::AddressPolicy;
use stoa_platform_db::api_tokens::{self, ApiTokenScope, NewApiToken};
use stoa_platform_db::testing::{TestDatabase, cluster_url};
use tokio::net::TcpListener;

/// A running server.
pub struct Server {
    /// Whoever calls it.
    pub caller: Caller,
    /// Its state, to look behind the contract where a test must.
    pub app: Arc<App>,
    /// The platform's database, for the same.
    pub database: TestDatabase,
}

impl Server {
    /// A server with background work, as `stoa serve` starts it.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// The same, with other options.
    pub async fn start_with(change: impl FnOnce(&mut Options)) -> Self {
        let database = TestDatabase::create().await;
        Self::on(database, change).await
    }

    /// A server on an existing platform database: a second replica, or one after a restart.
    pub async fn on(database: TestDatabase, change: impl FnOnce(&mut Options)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let mut options = options(&database, address);
        change(&mut options);
        let app = start::start(options).await.expect("the server starts");
        start::background(&app, true)
            .await
            .expect("background work starts");
        let router = stoa_web::router(&app);
        let shutdown = app.shutdown().clone();
        app.tasks().spawn(async move {
            let serving = axum::serve(
                listener,
                router.into_make_service_with_connect_info::<SocketAddr>(),
            );
            serving
                .with_graceful_shutdown(shutdown.cancelled_owned())
                .await
                .expect("serves");
        });
        let platform_token = issue_platform_token(&app).await;
        let caller = Caller::new(format!("http://{address}"), platform_token);
        Self {
            caller,
            app,
            database,
        }
    }

    /// A second server on the same platform database.
    pub async fn replica(&self) -> Self {
        Self::on(self.database.again().await, |_| {}).await
    }

    /// Sweeps an instance now, whenever it is due.
    pub async fn sweep_now(&self, instance: &str) {
        let instance = instance.parse().expect("an id");
        sweep::sweep(&self.app, instance).await.expect("swept");
    }

    /// Ends the server as SIGTERM would, and gives its platform database back.
    pub async fn stop(self) -> TestDatabase {
        self.app.shutdown().cancel();
        self.app.tasks().close();
        self.app.tasks().wait().await;
        self.database
    }
}

impl Deref for Server {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

/// Whoever calls a server, in each of its roles.
#[derive(Clone)]
pub struct Caller {
    /// The server's address, such as `http://127.0.0.1:41234`.
    pub base: String,
    platform_token: String,
    http: Client,
}

impl Caller {
    /// Calls the server at `base`, as its owner with this platform token.
    pub fn new(base: String, platform_token: String) -> Self {
        Self {
            base,
            platform_token,
            http: http(),
        }
    }

    /// The same people, calling another server.
    pub fn at(&self, base: String) -> Self {
        Self {
            base,
            platform_token: self.platform_token.clone(),
            http: self.http.clone(),
        }
    }

    /// A request without any credential.
    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// A request of the platform's owner.
    pub fn platform(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, &format!("/api/platform/v1{path}"))
            .bearer_auth(&self.platform_token)
    }

    /// A request with an instance's client API key.
    pub fn client(&self, key: &str, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, &format!("/api/client/v1{path}"))
            .bearer_auth(key)
    }

    /// A request with a chat session's token.
    pub fn visitor(&self, token: &str, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, &format!("/api/chat/v1{path}"))
            .bearer_auth(token)
    }

    /// The platform token that this server's owner holds.
    pub fn platform_token(&self) -> &str {
        &self.platform_token
    }
}

/// Sends a request and expects this status; gives the body, null where there is none.
pub async fn expect(request: RequestBuilder, status: StatusCode) -> Value {
    let response = request.send().await.expect("an answer");
    let seen = response.status();
    let text = response.text().await.expect("a body");
    assert_eq!(seen, status, "{text}");
    serde_json::from_str(&text).unwrap_or_default()
}

/// Checks that a response is the problem document of this status and code, and gives it.
pub async fn problem(response: Response, status: u16, code: &str) -> Value {
    let seen = response.status();
    let content_type = response.headers().get("content-type").cloned();
    let text = response.text().await.expect("a body");
    assert_eq!(
        seen,
        StatusCode::from_u16(status).expect("a status"),
        "{text}"
    );
    assert_eq!(
        content_type.expect("a content type"),
        "application/problem+json",
        "{text}"
    );
    let document: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(document["code"], code, "{text}");
    assert_eq!(document["status"], status, "{text}");
    assert!(
        document["detail"]
            .as_str()
            .is_some_and(|detail| detail.len() > 10),
        "{text}"
    );
    assert!(
        document["request_id"]
            .as_str()
            .is_some_and(|id| !id.is_empty()),
        "{text}"
    );
    document
}

fn options(database: &TestDatabase, address: SocketAddr) -> Options {
    let random = Random::seeded(7);
    let public_url = format!("http://{address}").parse().expect("a URL");
    Options {
        platform_url: database.url.clone(),
        platform_ca: None,
        platform_connections: 10,
        keys: MasterKeyRing::parse(&MasterKeyRing::generate("test", &random)).expect("a key ring"),
        managed_url: Some(SecretString::from(cluster_url())),
        allowed_hosts: AddressPolicy::loopback(),
        chat_url: format!("http://{address}").parse().expect("a URL"),
        public_url,
        platform_isolation: true,
        client_isolation: true,
        dedicated: None,
        confirmation_wait: chat::CONFIRMATION_WAIT,
        client_migrations: Migrations::shipped(),
        trusted_proxies: Vec::new(),
        extractor: ChildSettings {
            program: env!("CARGO_BIN_EXE_stoa").into(),
            args: vec!["extract-document".into()],
        },
        clock: Clock::system(),
        random: Random::system(),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests call the server on loopback, not clients' addresses"
)]
fn http() -> Client {
    Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("an HTTP client")
}

async fn issue_platform_token(app: &App) -> String {
    let token = Token::issue(TokenKind::Platform, app.random());
    let new = NewApiToken {
        id: app.new_id(ApiTokenId::generate),
        scope: ApiTokenScope::Platform,
        name: "tests".into(),
        token: token.hash(),
        hint: token.hint(),
        created_at: app.clock().now(),
    };
    let mut connection = app.platform().acquire().await.expect("a connection");
    api_tokens::insert(&mut connection, &new)
        .await
        .expect("a token");
    token.expose().to_owned()
}
