//! Tools in a chat turn: called in rounds, shown as steps, asked about, and never led astray.

mod asking;
mod injection;
mod mcp;
mod programs;
mod resume;
mod rounds;
pub(crate) mod shop;
mod wires;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use stoa_app::Options;
use stoa_fake_ai::{Behaviour, FakeAi};

use crate::support::{
    Caller, Conversation, Server, StreamEvent, TestInstance, eventually, expect, model_at,
};
use shop::Shop;

/// What goes along with every call of a tool, and nowhere else.
const SECRET: &str = "sk-shop-0123456789abcdef";

/// What the visitor asks.
const QUESTION: &str = "Where is my order?";

/// A conversation with a bot that has a shop's tools.
struct Talk {
    server: Server,
    fake: FakeAi,
    shop: Shop,
    instance: TestInstance,
    /// The configuration of its model.
    model: String,
    chat: Conversation,
}

/// A tool that reads.
fn reading(shop: &Shop, name: &str, path: &str) -> Value {
    json!({
        "name": name,
        "description": format!("Reads {path} of the shop."),
        "method": "GET",
        "url": format!("{}{path}", shop.url),
        "parameters": {
            "type": "object",
            "properties": { "order_id": { "type": "string", "maxLength": 200 } },
            "required": ["order_id"],
        },
        "headers": { "authorization": format!("Bearer {SECRET}") },
    })
}

/// A tool that changes something.
fn writing(shop: &Shop) -> Value {
    json!({
        "name": "refund_order",
        "description": "Pays an order back.",
        "method": "POST",
        "url": format!("{}/refunds", shop.url),
        "parameters": {
            "type": "object",
            "properties": { "order_id": { "type": "string" } },
            "required": ["order_id"],
        },
        "headers": { "authorization": format!("Bearer {SECRET}") },
    })
}

async fn add_tool(server: &Caller, instance: &TestInstance, tool: &Value) {
    let request = server.client(&instance.key, Method::POST, "/tools");
    expect(request.json(tool), StatusCode::CREATED).await;
}

impl Talk {
    /// A model that behaves like this.
    async fn with(behaviour: &str) -> Self {
        Self::on(Server::start().await, behaviour).await
    }

    /// The same on a server with other options.
    async fn with_options(behaviour: &str, change: impl FnOnce(&mut Options)) -> Self {
        Self::on(Server::start_with(change).await, behaviour).await
    }

    async fn on(server: Server, behaviour: &str) -> Self {
        let (fake, shop) = (FakeAi::start().await.unwrap(), Shop::open().await);
        let instance = TestInstance::create(&server, "Shop").await;
        let model = model_at(&fake.base_url(), "model");
        let model = instance.add_model(&server, model).await;
        for tool in [
            reading(&shop, "find_order", "/orders/{order_id}"),
            reading(&shop, "read_note", "/note/{order_id}"),
            reading(&shop, "wait", "/slow/{order_id}"),
            reading(&shop, "meet", "/meeting/{order_id}"),
            writing(&shop),
        ] {
            add_tool(&server, &instance, &tool).await;
        }
        fake.set_behaviour(Behaviour::parse(behaviour).unwrap());
        fake.clear_requests();
        let chat = Conversation::begin(&server, &instance).await;
        Self {
            server,
            fake,
            shop,
            instance,
            model,
            chat,
        }
    }

    /// Lets another model answer.
    async fn exchange_model(&mut self, model: Value) {
        let id = self.instance.add_model(&self.server, model).await;
        let off = json!({ "enabled": false });
        let (server, instance) = (&self.server, &self.instance);
        instance.change_model(server, &self.model, off).await;
        self.model = id;
    }

    /// Asks, and gives the stream.
    async fn ask(&self) -> Response {
        let response = self.chat.send(QUESTION).await;
        assert_eq!(response.status(), StatusCode::OK);
        response
    }

    /// Asks, and reads the whole stream.
    async fn answer(&self) -> Vec<StreamEvent> {
        self.chat.events(QUESTION).await
    }

    /// The last message once it is final.
    async fn final_answer(&self) -> Value {
        eventually("a final answer", || async {
            let last = self.chat.history().await.pop().unwrap();
            (last["state"] == "complete").then_some(last)
        })
        .await
    }

    /// What the model was told by tools in its last request.
    fn told(&self) -> Vec<String> {
        let request = self.fake.requests().pop().unwrap();
        let messages = request.body["messages"].as_array().unwrap().clone();
        let results = messages.into_iter().filter(|it| it["role"] == "tool");
        let text = |it: Value| it["content"].as_str().unwrap().to_owned();
        results.map(text).collect()
    }
}

/// The kinds of events in order, deltas of one part as one.
fn kinds(events: &[StreamEvent]) -> Vec<&str> {
    let mut kinds: Vec<_> = events.iter().map(StreamEvent::kind).collect();
    kinds.dedup_by(|one, other| one == other && *one == "text-delta");
    kinds
}

/// Everything that was said and done, deltas of one part as one and without ids, which name how much
/// came with each piece.
fn told_to_the_visitor(events: &[StreamEvent]) -> Vec<Value> {
    let mut told: Vec<Value> = Vec::new();
    for event in events {
        match told.last_mut() {
            Some(last)
                if event.kind() == "text-delta"
                    && last["type"] == "text-delta"
                    && last["id"] == event.data["id"] =>
            {
                let joined = [&last["delta"], &event.data["delta"]].map(|it| it.as_str().unwrap());
                last["delta"] = joined.concat().into();
            }
            _ => told.push(event.data.clone()),
        }
    }
    told
}

fn of_kind<'a>(events: &'a [StreamEvent], kind: &str) -> Vec<&'a Value> {
    let events = events.iter().filter(|it| it.kind() == kind);
    events.map(|it| &it.data).collect()
}

/// The message and the approval that a stream asks for.
fn asked_for(events: &[StreamEvent]) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let request = of_kind(events, "tool-approval-request")[0];
    (
        text(&events[0].data["messageId"]),
        text(&request["approvalId"]),
    )
}

/// Until the visitor is asked so many times.
fn asks(times: usize) -> impl FnMut(&[StreamEvent]) -> bool {
    move |events| of_kind(events, "tool-approval-request").len() == times
}
