//! Pages for people, as a browser gets them.

mod budgets;
mod chat;
mod mcp_servers;
mod models;
mod sign_in;
mod tools;

use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use serde_json::Value;
use stoa_app::access::PlatformCaller;
use stoa_app::super_admins;
use stoa_domain::Email;

use crate::support::{Browser, Caller, Page, Server, TestInstance, expect};

const PASSWORD: &str = "a long and unrelated phrase";

/// A client's console with somebody in it, on a server of its own.
struct Desk {
    server: Server,
    client: TestInstance,
    browser: Browser,
    form_token: String,
}

impl Desk {
    /// The console of a new client, with the form of this page open.
    async fn new(page: &str) -> Self {
        let server = Server::start().await;
        let client = TestInstance::create(&server, "Acme").await;
        Self::of(server, client, page).await
    }

    /// The console of this client, with the form of this page open.
    async fn of(server: Server, client: TestInstance, page: &str) -> Self {
        let mut browser = signed_in_client(&server, &client).await;
        let page = browser.open(&server, page).await;
        assert_eq!(page.status, 200, "{}", page.html);
        Self {
            form_token: page.field("form_token"),
            server,
            client,
            browser,
        }
    }

    async fn open(&mut self, path: &str) -> Page {
        self.browser.open(&self.server, path).await
    }

    /// Sends a form with its token.
    async fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let mut fields = fields.to_vec();
        fields.push(("form_token", &self.form_token));
        self.browser.submit(&self.server, path, &fields).await
    }

    /// Adds something by a form, and gives the path of its page.
    async fn add(&mut self, path: &str, fields: &[(&str, &str)]) -> String {
        let added = self.send(path, fields).await;
        assert_eq!(added.status, 303, "{}", added.html);
        let path = added.location.strip_suffix("?done=added");
        path.expect("a way to what was added").to_owned()
    }

    /// What the client API shows.
    async fn stored(&self, path: &str) -> Value {
        let request = self.server.client(&self.client.key, Method::GET, path);
        expect(request, StatusCode::OK).await
    }

    /// Makes whoever sits there an agent.
    async fn demote(&self) {
        demoted_to_agent(&self.server, &self.client).await;
    }
}

/// The path of the set-up link that an instance was answered with.
fn setup_path(server: &Caller, setup_url: &str) -> String {
    let path = setup_url.strip_prefix(&server.base);
    path.expect("a link to this server").to_owned()
}

/// A browser whose client admin has set a password by the link.
pub async fn signed_in_client(server: &Server, instance: &TestInstance) -> Browser {
    let url = instance.created["admin"]["setup_url"]
        .as_str()
        .expect("a link");
    let mut browser = Browser::default();
    set_password(server, &mut browser, url).await;
    browser
}

/// A browser whose super admin has set a password by the link.
pub async fn signed_in_super_admin(server: &Server) -> Browser {
    let url = super_admin_link(server).await;
    let mut browser = Browser::default();
    set_password(server, &mut browser, &url).await;
    browser
}

pub(crate) async fn set_password(server: &Caller, browser: &mut Browser, url: &str) {
    let page = browser.open(server, &setup_path(server, url)).await;
    assert_eq!(page.status, 200, "{}", page.html);
    let (form_token, token) = (page.field("form_token"), page.field("token"));
    let fields = [
        ("form_token", form_token.as_str()),
        ("token", &token),
        ("password", PASSWORD),
    ];
    let done = browser.submit(server, "/setup", &fields).await;
    assert_eq!(done.status, 303, "{}", done.html);
}

async fn super_admin_link(server: &Server) -> String {
    let caller = PlatformCaller::command_line();
    let email = Email::parse("root@example.com").expect("an address");
    let made = super_admins::create(&server.app, &caller, &email, None)
        .await
        .expect("a super admin");
    made.link.expect("a link").url.to_string()
}

async fn super_admin_with_password(server: &Server) {
    let caller = PlatformCaller::command_line();
    let email = Email::parse("root@example.com").expect("an address");
    let password = SecretString::from(PASSWORD);
    let made = super_admins::create(&server.app, &caller, &email, Some(&password))
        .await
        .expect("a super admin");
    assert!(made.link.is_none());
}

/// Makes an instance's admins agents, who may look only. Nobody can be one by the contract yet.
async fn demoted_to_agent(server: &Server, instance: &TestInstance) {
    let mut connection = server.app.platform().acquire().await.expect("a connection");
    let statement =
        "UPDATE stoa_platform.instance_admins SET role = 'agent' WHERE instance_id = $1::uuid";
    let changed = sqlx::query(statement)
        .bind(&instance.id)
        .execute(&mut *connection)
        .await
        .expect("a change");
    assert_eq!(changed.rows_affected(), 1);
}
