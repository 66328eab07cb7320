//! Tools of an MCP server in a chat turn: called at once where they read, asked about where they
//! write, and what their server says is no instruction to anybody.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stoa_fake_ai::{Behaviour, FakeAi};

use super::{QUESTION, asked_for, asks, of_kind};
use crate::support::{
    Conversation, McpServer, Server, StreamEvent, TestInstance, eventually, mcp_tool, model_at,
    read_stream, said,
};

const SECRET: &str = "sk-mcp-0123456789abcdef";

/// A conversation with a bot that has the tools of an MCP server.
struct Talk {
    /// Serves for as long as it is held.
    _server: Server,
    fake: FakeAi,
    orders: McpServer,
    chat: Conversation,
}

impl Talk {
    async fn with(behaviour: &str) -> Self {
        let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
        let tools = [
            mcp_tool("find", "Finds an order.", true),
            // Its server says that it only reads. The person knows better.
            mcp_tool("cancel", "Cancels an order.", true),
            mcp_tool("drop_all", "Drops all orders.", true),
        ];
        let orders = McpServer::start(&tools).await;
        let instance = TestInstance::create(&server, "Orders").await;
        instance
            .add_model(&server, model_at(&fake.base_url(), "model"))
            .await;
        let call = async |method, path: &str, body: Value| -> Value {
            let request = server.client(&instance.key, method, &format!("/mcp-servers{path}"));
            let response = request.json(&body).send().await.unwrap();
            assert!(response.status().is_success(), "{path}");
            response.json().await.unwrap()
        };
        let new = json!({ "name": "orders", "url": orders.url,
            "headers": { "Authorization": format!("Bearer {SECRET}") } });
        let added = call(Method::POST, "", new).await;
        let path = format!("/{}", added["id"].as_str().unwrap());
        call(Method::POST, &format!("{path}/refresh"), json!({})).await;
        let allowed = json!({ "tools": [
            { "name": "find", "allowed": true, "effect": "read" },
            { "name": "cancel", "allowed": true, "effect": "write" },
        ] });
        call(Method::PATCH, &path, allowed).await;
        fake.set_behaviour(Behaviour::parse(behaviour).unwrap());
        fake.clear_requests();
        let chat = Conversation::begin(&server, &instance).await;
        Self {
            _server: server,
            fake,
            orders,
            chat,
        }
    }

    async fn answer(&self) -> Vec<StreamEvent> {
        self.chat.events(QUESTION).await
    }
}

#[tokio::test]
async fn a_tool_that_reads_is_called_at_once_and_answered_from() {
    let talk = Talk::with(r#"call=orders__find{"number":7}"#).await;
    let events = talk.answer().await;
    let input = of_kind(&events, "tool-input-available")[0];
    let seen = (&input["toolName"], &input["input"]);
    assert_eq!(seen, (&json!("orders__find"), &json!({ "number": 7 })));
    let output = of_kind(&events, "tool-output-available")[0];
    assert_eq!(output["output"], "Order 7 is on its way. [secret]");
    assert!(of_kind(&events, "tool-approval-request").is_empty());
    assert!(
        said(&events).contains("The tool said: Order 7 is on its way."),
        "{events:?}"
    );
    assert_eq!(
        talk.orders.calls(),
        [("find".to_owned(), json!({ "number": 7 }))]
    );

    // The model was told of what is allowed, and never of the key.
    let requests = talk.fake.requests();
    let names = requests[0].body["tools"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|it| it["function"]["name"].clone()).collect();
    assert_eq!(names, ["orders__find", "orders__cancel"]);
    assert!(
        requests
            .iter()
            .all(|it| !it.body.to_string().contains(SECRET))
    );
}

#[tokio::test]
async fn a_tool_that_writes_asks_whatever_its_server_says_of_it() {
    let talk = Talk::with(r#"call=orders__cancel{"number":7}"#).await;
    let events = read_stream(talk.chat.send(QUESTION).await, asks(1)).await;
    let (message, approval) = asked_for(&events);
    assert_eq!(talk.orders.calls(), []);
    let yes = talk.chat.decide(&message, &approval, true).await;
    assert_eq!(yes.status(), StatusCode::NO_CONTENT);
    eventually("the call", async || {
        (talk.orders.calls().len() == 1).then_some(())
    })
    .await;
    assert_eq!(talk.orders.calls()[0].0, "cancel");
}

#[tokio::test]
async fn a_tool_that_nobody_allowed_is_not_called_whoever_asks() {
    let talk = Talk::with(r#"call=orders__drop_all{"number":7}"#).await;
    let events = talk.answer().await;
    assert_eq!(of_kind(&events, "tool-output-error").len(), 1, "{events:?}");
    assert_eq!(talk.orders.calls(), []);
}
