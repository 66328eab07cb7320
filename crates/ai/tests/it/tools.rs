//! Tool calls in every format, and a loop over them.

use serde_json::json;
use stoa_ai::{
    Ai, AiErrorCode, AnswerStream, ChatRequest, Ending, Limits, Message, Tool, ToolChoice,
    ToolResult,
};
use stoa_domain::Provider;
use stoa_fake_ai::FakeAi;
use stoa_outbound::{AddressPolicy, Outbound};

use crate::{ANSWER, Gathered, Spoken, WIRES, ai, gather, question};

fn with_tools(behaviour: &str) -> ChatRequest {
    let tool = |name: &str| Tool {
        name: name.to_owned(),
        description: "Finds things.".to_owned(),
        schema: json!({"type": "object", "properties": {"query": {"type": "string"}}}),
        strict: false,
    };
    ChatRequest {
        tools: vec![tool("search"), tool("look_up")],
        ..question(&format!("fake:{behaviour}"))
    }
}

async fn asked(wire: Spoken, fake: &FakeAi, request: &ChatRequest) -> Gathered {
    let mut stream: AnswerStream = ai().stream(&wire.endpoint(fake), request).await.unwrap();
    gather(&mut stream).await
}

#[tokio::test]
async fn calls_arrive_in_pieces_and_whole_in_every_format() {
    let fake = FakeAi::start().await.unwrap();
    for wire in WIRES {
        for behaviour in [
            "calls=2",
            "calls=2,write=1,crlf",
            "calls=2,whole",
            "calls=2,no_done",
        ] {
            let what = format!("{}: {behaviour}", wire.name);
            let all = asked(wire, &fake, &with_tools(behaviour)).await;
            assert_eq!(all.finish, Some(Ending::ToolCalls), "{what}");
            assert_eq!(all.text, ANSWER, "{what}");
            assert!(all.usage.is_some(), "{what}");
            let names: Vec<_> = all.calls.iter().map(|it| it.name.as_str()).collect();
            assert_eq!(names, ["search", "look_up"], "{what}");
            let input = all.calls[1].input().unwrap();
            assert_eq!(input["query"], "How long?", "{what}");
            assert_eq!(input["number"], 1, "{what}");
            assert_ne!(all.calls[0].id, all.calls[1].id, "{what}");
        }
        let whole = ai()
            .complete(&wire.endpoint(&fake), &with_tools("calls=2"))
            .await
            .unwrap();
        assert_eq!(whole.ending, Ending::ToolCalls, "{}", wire.name);
        assert_eq!(whole.tool_calls.len(), 2, "{}", wire.name);
    }
}

#[tokio::test]
async fn results_go_back_and_are_answered_and_the_ids_stay_unique() {
    let fake = FakeAi::start().await.unwrap();
    for first in WIRES {
        let mut request = with_tools("calls=2");
        for _ in 0..2 {
            let all = asked(first, &fake, &request).await;
            request.messages.push(Message::Called {
                content: all.text,
                calls: all.calls,
            });
        }
        let calls: Vec<_> = request
            .messages
            .iter()
            .flat_map(|turn| match turn {
                Message::Called { calls, .. } => calls.clone(),
                _ => Vec::new(),
            })
            .collect();
        assert_eq!(calls.len(), 4);
        if first.provider == Provider::Gemini {
            assert_ne!(calls[0].id, calls[2].id, "made up ids count on");
            assert_eq!(calls[0].signature.as_deref(), Some("c2lnbmVk"));
        }
        request.messages.pop();
        for call in &calls[..2] {
            request.messages.push(Message::Returned(ToolResult {
                call_id: call.id.clone(),
                name: call.name.clone(),
                content: format!("{} found 60 days", call.name),
                is_error: false,
            }));
        }
        // Whoever asked for the calls, every other format can go on with the conversation.
        for second in WIRES {
            let all = asked(second, &fake, &request).await;
            let what = format!("{} to {}", first.name, second.name);
            assert_eq!(
                all.text, "The tool said: look_up found 60 days According to [1]: Returns 60 days.",
                "{what}"
            );
            assert_eq!(all.finish, Some(Ending::Stop), "{what}");
        }
    }
}

#[tokio::test]
async fn arguments_that_are_no_json_are_a_value_and_no_crash() {
    let fake = FakeAi::start().await.unwrap();
    // Gemini's calls are JSON by their nature.
    for wire in WIRES.into_iter().filter(|it| it.name != "gemini") {
        let all = asked(wire, &fake, &with_tools("calls=1,bad_call")).await;
        assert_eq!(all.calls[0].arguments, "{\"query\": ", "{}", wire.name);
        assert!(all.calls[0].input().is_err(), "{}", wire.name);
        assert_eq!(all.finish, Some(Ending::ToolCalls), "{}", wire.name);
    }
}

#[tokio::test]
async fn arguments_are_bounded() {
    let fake = FakeAi::start().await.unwrap();
    let limits = Limits {
        call_bytes: 10_000,
        ..Limits::default()
    };
    let bounded = Ai::with_limits(Outbound::new(AddressPolicy::loopback()), limits);
    for wire in WIRES {
        let request = with_tools("calls=2,call_bytes=9000");
        let mut stream = bounded
            .stream(&wire.endpoint(&fake), &request)
            .await
            .unwrap();
        let all = gather(&mut stream).await;
        let code = all.error.map(|it| it.code());
        assert_eq!(code, Some(AiErrorCode::Protocol), "{}", wire.name);
        assert!(all.calls.len() < 2, "{}", wire.name);
        let whole = bounded.complete(&wire.endpoint(&fake), &request).await;
        assert_eq!(
            whole.unwrap_err().code(),
            AiErrorCode::Protocol,
            "{}",
            wire.name
        );
    }
}

#[tokio::test]
async fn the_choice_of_tools_is_put_in_each_formats_words() {
    let fake = FakeAi::start().await.unwrap();
    let named = ToolChoice::Named("search".to_owned());
    let chosen = [
        (0, "tool_choice", ToolChoice::Required, json!("required")),
        (0, "tool_choice", ToolChoice::None, json!("none")),
        (0, "tool_choice", ToolChoice::Auto, json!(null)),
        (
            0,
            "tool_choice",
            named.clone(),
            json!({"type": "function", "function": {"name": "search"}}),
        ),
        (
            1,
            "tool_choice",
            ToolChoice::Required,
            json!({"type": "any"}),
        ),
        (
            1,
            "tool_choice",
            named.clone(),
            json!({"type": "tool", "name": "search"}),
        ),
        (
            2,
            "toolConfig",
            ToolChoice::Required,
            json!({"functionCallingConfig": {"mode": "ANY"}}),
        ),
        (
            2,
            "toolConfig",
            named,
            json!({"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["search"]}}),
        ),
    ];
    for (wire, field, choice, expected) in chosen {
        fake.clear_requests();
        let request = ChatRequest {
            tool_choice: choice,
            ..with_tools("")
        };
        asked(WIRES[wire], &fake, &request).await;
        assert_eq!(fake.requests()[0].body[field], expected);
    }
    // Mistral has a word of its own, and takes only ids of its own kind.
    let mut request = ChatRequest {
        tool_choice: ToolChoice::Required,
        ..with_tools("calls=1")
    };
    let all = asked(WIRES[2], &fake, &request).await;
    let result = ToolResult {
        call_id: all.calls[0].id.clone(),
        name: "search".to_owned(),
        content: "x".to_owned(),
        is_error: false,
    };
    request.messages.extend([
        Message::Called {
            content: String::new(),
            calls: all.calls,
        },
        Message::Returned(result),
    ]);
    let mistral = Spoken {
        provider: Provider::Mistral,
        ..WIRES[0]
    };
    fake.clear_requests();
    asked(mistral, &fake, &request).await;
    let body = &fake.requests()[0].body;
    assert_eq!(body["tool_choice"], "any");
    assert_eq!(body["messages"][2]["tool_calls"][0]["id"], "call00000");
    assert_eq!(body["messages"][3]["tool_call_id"], "call00000");
}
