//! A program's own tools: offered to the model, whose calls come back to the program.

use serde_json::{Value, json};
use stoa_fake_ai::FakeAi;

use super::{call, chunks, complete, failure, user};
use crate::support::{Server, TestInstance, model_at};

const RETURNS: &str = "You may return items within 60 days of delivery if they are unused.";
const QUESTION: &str = "How many days to return unused items?";

fn tools() -> Value {
    let tool = |name: &str| {
        json!({"type": "function", "function": {
            "name": name,
            "description": "Finds things.",
            "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
        }})
    };
    json!([tool("find_order"), tool("find_shop")])
}

/// A request with tools, changed by these fields.
fn asking(model: &str, fields: &Value) -> Value {
    let mut body = json!({"model": model, "messages": user(QUESTION), "tools": tools()});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// The conversation that goes on after these calls, with the results in reverse order.
fn answered(calls: &Value) -> Value {
    let mut messages = vec![
        json!({"role": "user", "content": QUESTION}),
        json!({"role": "assistant", "content": null, "tool_calls": calls}),
    ];
    for call in calls.as_array().unwrap().iter().rev() {
        let name = call["function"]["name"].as_str().unwrap();
        messages.push(json!({
            "role": "tool", "tool_call_id": call["id"], "content": format!("{name} is closed"),
        }));
    }
    json!(messages)
}

/// Puts the calls of a stream together as the client libraries do.
fn gathered(chunks: &[Value]) -> Vec<Value> {
    let mut calls: Vec<Value> = Vec::new();
    let deltas = chunks
        .iter()
        .map(|it| &it["choices"][0]["delta"]["tool_calls"]);
    for delta in deltas.filter_map(Value::as_array).flatten() {
        let index = usize::try_from(delta["index"].as_u64().unwrap()).unwrap();
        if index == calls.len() {
            assert_eq!(delta["type"], "function", "{delta}");
            assert_eq!(delta["function"]["arguments"], "", "{delta}");
            calls.push(delta.clone());
            continue;
        }
        let call = &mut calls[index];
        if let Some(more) = delta["function"]["arguments"].as_str() {
            assert!(!more.is_empty(), "{delta}");
            let so_far = call["function"]["arguments"].as_str().unwrap().to_owned();
            call["function"]["arguments"] = json!(so_far + more);
        }
        if !delta["extra_content"].is_null() {
            call["extra_content"] = delta["extra_content"].clone();
        }
    }
    for call in &mut calls {
        call.as_object_mut().unwrap().remove("index");
    }
    calls
}

/// An instance with one model of each wire format, all of which call both tools.
async fn of_every_format(server: &Server, fake: &FakeAi) -> (TestInstance, [String; 3]) {
    let instance = TestInstance::create(server, "Acme").await;
    let formats = [
        ("openai_compatible", fake.base_url()),
        ("anthropic", fake.base_url()),
        ("gemini", fake.gemini_url()),
    ];
    let mut names = Vec::new();
    for (provider, base_url) in formats {
        let name = format!("{provider}-fake:calls=2");
        let mut model = model_at(&base_url, &name);
        (model["name"], model["provider"]) = (json!(provider), json!(provider));
        instance.add_model(server, model).await;
        names.push(name);
    }
    (instance, names.try_into().unwrap())
}

#[tokio::test]
async fn a_models_calls_come_back_whole_and_in_pieces_in_every_format() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let (instance, models) = of_every_format(&server, &fake).await;
    for model in models {
        let answer = complete(&server, &instance.key, asking(&model, &json!({}))).await;
        let choice = &answer["choices"][0];
        assert_eq!(choice["finish_reason"], "tool_calls", "{model}: {answer}");
        let calls = &choice["message"]["tool_calls"];
        let names: Vec<_> = calls
            .as_array()
            .unwrap()
            .iter()
            .map(|call| call["function"]["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["find_order", "find_shop"], "{model}");
        let arguments = calls[1]["function"]["arguments"].as_str().unwrap();
        let arguments: Value = serde_json::from_str(arguments).unwrap();
        assert_eq!(arguments["query"], QUESTION, "{model}");
        assert!(
            choice["message"]["content"]
                .as_str()
                .unwrap()
                .contains("You asked"),
            "what was said before the calls is kept: {answer}"
        );

        let streamed = asking(&model, &json!({"stream": true}));
        let request = call(&server, &instance.key, "/v1/chat/completions", &streamed);
        let seen = chunks(request.send().await.unwrap()).await;
        assert_eq!(json!(gathered(&seen)), *calls, "{model}");
        let last = &seen[seen.len() - 2];
        assert_eq!(last["choices"][0]["finish_reason"], "tool_calls", "{last}");

        // The results go back, whoever asked for them, with the tools and without them.
        for tools in [tools(), json!([])] {
            let body = asking(
                &model,
                &json!({"messages": answered(calls), "tools": tools}),
            );
            let answer = complete(&server, &instance.key, body).await;
            let choice = &answer["choices"][0];
            assert_eq!(choice["finish_reason"], "stop", "{model}: {answer}");
            let text = choice["message"]["content"].as_str().unwrap();
            assert!(
                text.starts_with("The tool said: find_shop is closed"),
                "in the order of the calls: {text}"
            );
            assert!(choice["message"].get("tool_calls").is_none(), "{answer}");
        }
    }
}

#[tokio::test]
async fn the_bot_is_offered_the_callers_tools_beside_its_documents() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::create(&server, "Acme").await;
    let model = model_at(&fake.base_url(), "m-fake:calls=2");
    instance.add_model(&server, model).await;
    instance.add_text(&server, "Returns", RETURNS).await;
    let put = server
        .client(&instance.key, reqwest::Method::PUT, "/rag-instructions")
        .json(&json!({"answer_policy": "documents_only"}))
        .send()
        .await
        .unwrap();
    assert_eq!(put.status(), 200);
    let answer = complete(&server, &instance.key, asking("stoa", &json!({}))).await;
    let message = &answer["choices"][0]["message"];
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(message["tool_calls"][0]["function"]["name"], "find_order");
    let asked = fake.requests().pop().unwrap().body;
    assert_eq!(asked["tools"], tools());
    let prompt = asked["messages"][0]["content"].as_str().unwrap();
    assert!(prompt.contains("60 days"), "{prompt}");

    // The results go with the question that they are for, and the documents are there as before.
    let results = answered(&message["tool_calls"]);
    let body = asking("stoa", &json!({"messages": results}));
    let answer = complete(&server, &instance.key, body).await;
    let message = &answer["choices"][0]["message"];
    let text = message["content"].as_str().unwrap();
    assert!(
        text.starts_with("The tool said: find_shop is closed"),
        "{text}"
    );
    assert_eq!(
        message["stoa"]["sources"][0]["title"], "Returns",
        "{answer}"
    );
    let asked = fake.requests().pop().unwrap().body;
    let roles: Vec<_> = asked["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["role"].clone())
        .collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "tool"]);

    // Documents that say nothing do not keep a tool from being asked.
    let about_shops = json!([{"role": "user", "content": "Where is zebra crossing number nine?"}]);
    let body = asking("stoa", &json!({"messages": about_shops}));
    let answer = complete(&server, &instance.key, body).await;
    assert_eq!(
        answer["choices"][0]["finish_reason"], "tool_calls",
        "{answer}"
    );
}

#[tokio::test]
async fn one_call_at_a_time_and_the_choice_are_the_callers() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let (instance, models) = of_every_format(&server, &fake).await;
    let named = json!({"type": "function", "function": {"name": "find_shop"}});
    let sent = [
        (
            "parallel_tool_calls",
            json!(false),
            "tool_choice",
            named.clone(),
        ),
        (
            "tool_choice",
            json!({"type": "tool", "name": "find_shop", "disable_parallel_tool_use": true}),
            "stream",
            json!(false),
        ),
        (
            "toolConfig",
            json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["find_shop"]}}),
            "stream",
            Value::Null,
        ),
    ];
    for (model, (field, value, other, other_value)) in models.into_iter().zip(sent) {
        let fields = json!({"parallel_tool_calls": false, "tool_choice": named});
        let answer = complete(&server, &instance.key, asking(&model, &fields)).await;
        let calls = answer["choices"][0]["message"]["tool_calls"]
            .as_array()
            .unwrap();
        assert_eq!(calls.len(), 1, "the fake does not heed it: {answer}");
        let asked = fake.requests().pop().unwrap().body;
        assert_eq!(asked[field], value, "{model}");
        if other != "stream" {
            assert_eq!(asked[other], other_value, "{model}");
        }
    }
}

#[tokio::test]
async fn other_formats_than_words_are_passed_through_and_not_the_bots() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let (instance, [openai, anthropic, gemini]) = of_every_format(&server, &fake).await;
    let schema = json!({"type": "object", "properties": {"days": {"type": "integer"}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "days", "schema": schema, "strict": true}});
    let ask = async |model: &str, format: &Value| {
        let body = json!({"model": model, "messages": user(QUESTION), "response_format": format});
        let request = call(&server, &instance.key, "/v1/chat/completions", &body);
        (
            request.send().await.unwrap(),
            fake.requests().pop().unwrap().body,
        )
    };
    let (_, sent) = ask(&openai, &format).await;
    assert_eq!(sent["response_format"], format);
    let (_, sent) = ask(&anthropic, &format).await;
    assert_eq!(
        sent["output_config"]["format"],
        json!({"type": "json_schema", "schema": schema})
    );
    let (_, sent) = ask(&gemini, &format).await;
    assert_eq!(
        sent["generationConfig"]["responseMimeType"],
        "application/json"
    );
    assert_eq!(sent["generationConfig"]["responseJsonSchema"], schema);
    let object = json!({"type": "json_object"});
    let (_, sent) = ask(&openai, &object).await;
    assert_eq!(sent["response_format"], object);
    let (refused, _) = ask(&anthropic, &object).await;
    failure(refused, 400, "provider_unsupported").await;
    let (refused, _) = ask("stoa", &format).await;
    let body = failure(refused, 400, "unsupported_parameter").await;
    assert_eq!(body["error"]["param"], "response_format");
}

#[tokio::test]
async fn what_is_wrong_with_tools_is_400_and_reaches_no_provider() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::answering_from(&server, "Acme", &fake.base_url()).await;
    let before = fake.requests().len();
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "x"});
    let called = |ids: &[&str]| {
        let calls: Vec<Value> = ids
            .iter()
            .map(|id| json!({"id": id, "type": "function", "function": {"name": "a", "arguments": "{}"}}))
            .collect();
        json!({"role": "assistant", "content": null, "tool_calls": calls})
    };
    let asked = json!({"role": "user", "content": "a"});
    let many: Vec<Value> = (0..129)
        .map(|it| json!({"type": "function", "function": {"name": format!("t{it}")}}))
        .collect();
    for (fields, code, param) in [
        (
            json!({"messages": [asked, result("a")]}),
            "invalid_request",
            "messages[1].tool_call_id",
        ),
        (
            json!({"messages": [asked, called(&["a"]), result("b")]}),
            "invalid_request",
            "messages[2].tool_call_id",
        ),
        (
            json!({"messages": [asked, called(&["a"])]}),
            "invalid_request",
            "messages[1].tool_calls",
        ),
        (
            json!({"messages": [asked, called(&["a", "a"])]}),
            "invalid_request",
            "messages[1].tool_calls[1].id",
        ),
        (json!({"tools": many}), "invalid_request", "tools"),
        (
            json!({"tools": [{"type": "function", "function": {"name": "no spaces"}}]}),
            "invalid_request",
            "tools[0].function.name",
        ),
        (
            json!({"tools": [{"type": "function", "function": {"name": "a", "parameters": {"x": "y".repeat(300_000)}}}]}),
            "invalid_request",
            "tools[0]",
        ),
        (
            json!({"tools": [{"type": "custom"}]}),
            "unsupported_parameter",
            "tools[0].type",
        ),
        (
            json!({"tool_choice": "sometimes"}),
            "invalid_request",
            "tool_choice",
        ),
        (
            json!({"functions": []}),
            "unsupported_parameter",
            "functions",
        ),
    ] {
        for model in ["fake", "stoa"] {
            let body = asking(model, &fields);
            let request = call(&server, &instance.key, "/v1/chat/completions", &body);
            let body = failure(request.send().await.unwrap(), 400, code).await;
            assert_eq!(body["error"]["param"], param, "{body}");
        }
    }
    assert_eq!(fake.requests().len(), before);
}
