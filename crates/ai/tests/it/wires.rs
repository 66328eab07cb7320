//! What each format sends, and that all of them say the same.

use serde_json::json;
use stoa_ai::{ChatRequest, Ending, Endpoint, Message, Tool, ToolResult};
use stoa_domain::{MessageRole, Provider};
use stoa_fake_ai::FakeAi;

use crate::{ANSWER, KEY, WIRES, ai, gather, question};

#[tokio::test]
async fn every_format_streams_the_same_answer_with_the_key_in_its_header() {
    let fake = FakeAi::start().await.unwrap();
    for wire in WIRES {
        fake.clear_requests();
        let request = question("m");
        let mut stream = ai().stream(&wire.endpoint(&fake), &request).await.unwrap();
        let all = gather(&mut stream).await;
        assert_eq!(all.text, ANSWER, "{}", wire.name);
        assert!(all.pieces > 5, "{}", wire.name);
        assert_eq!(all.usage, Some((8, 10)), "{}", wire.name);
        assert_eq!(all.finish, Some(Ending::Stop), "{}", wire.name);
        assert_eq!(stream.model(), Some("m"), "{}", wire.name);
        let sent = &fake.requests()[0];
        assert_eq!(sent.key.as_deref(), Some(KEY), "{}", wire.name);
        let bearer = wire.provider == Provider::OpenaiCompatible;
        assert_eq!(sent.authorization.is_some(), bearer, "{}", wire.name);
    }
}

#[tokio::test]
async fn every_format_answers_whole() {
    let fake = FakeAi::start().await.unwrap();
    for wire in WIRES {
        let endpoint = wire.endpoint(&fake);
        let whole = ai().complete(&endpoint, &question("m")).await.unwrap();
        assert_eq!(whole.text, ANSWER, "{}", wire.name);
        assert_eq!(whole.usage.map(|it| it.output_tokens), Some(10));
        assert_eq!(whole.ending, Ending::Stop);
        assert_eq!(whole.model.as_deref(), Some("m"));
        // Asked for in pieces, and given at once all the same.
        let all = wire.ask(&ai(), &fake, "whole").await.unwrap();
        assert_eq!((all.text.as_str(), all.usage), (ANSWER, Some((8, 10))));
    }
}

#[tokio::test]
async fn anthropic_is_asked_as_it_wants_to_be() {
    let fake = FakeAi::start().await.unwrap();
    let endpoint = WIRES[1].endpoint(&fake);
    ai().stream(&endpoint, &question("m")).await.unwrap();
    let text = |it: &str| json!([{"type": "text", "text": it}]);
    assert_eq!(
        fake.requests()[0].body,
        json!({
            "model": "m",
            "max_tokens": 50,
            "system": "Be kind.\n[1] Returns\n60 days.",
            "messages": [{"role": "user", "content": text("How long?")}],
            "temperature": 0.2,
            "stream": true,
        })
    );
    let unbounded = ChatRequest {
        max_output_tokens: None,
        temperature: Some(1.5),
        ..question("claude-sonnet-4-5")
    };
    ai().stream(&endpoint, &unbounded).await.unwrap();
    let sent = &fake.requests()[1].body;
    assert_eq!(
        (&sent["max_tokens"], &sent["temperature"]),
        (&json!(16_384), &json!(1.0))
    );
}

#[tokio::test]
async fn gemini_is_asked_as_it_wants_to_be() {
    let fake = FakeAi::start().await.unwrap();
    let mut request = question("m");
    request
        .messages
        .insert(0, Message::said(MessageRole::Agent, "Hello!"));
    ai().stream(&WIRES[2].endpoint(&fake), &request)
        .await
        .unwrap();
    let sent = &fake.requests()[0];
    assert_eq!(sent.path, "/v1beta/models/{model}:streamGenerateContent");
    assert_eq!(
        sent.body,
        json!({
            "contents": [
                {"role": "model", "parts": [{"text": "Hello!"}]},
                {"role": "user", "parts": [{"text": "How long?"}]},
            ],
            "systemInstruction": {"parts": [{"text": "Be kind.\n[1] Returns\n60 days."}]},
            "generationConfig": {"temperature": 0.2, "maxOutputTokens": 50},
        })
    );
}

#[tokio::test]
async fn azure_is_asked_in_both_of_its_forms() {
    let fake = FakeAi::start().await.unwrap();
    for (wire, path) in [
        (WIRES[3], "/openai/v1/chat/completions"),
        (
            WIRES[4],
            "/openai/deployments/{deployment}/chat/completions",
        ),
    ] {
        fake.clear_requests();
        ai().stream(&wire.endpoint(&fake), &question("m"))
            .await
            .unwrap();
        let sent = &fake.requests()[0];
        assert_eq!((sent.path, sent.model.as_str()), (path, "m"));
        assert_eq!(sent.body["max_completion_tokens"], 50);
    }
}

#[tokio::test]
async fn addresses_without_their_usual_path_are_understood() {
    let fake = FakeAi::start().await.unwrap();
    for wire in WIRES {
        let root = format!("http://{}", fake.addr);
        let endpoint = Endpoint {
            base_url: Some(root.parse().unwrap()),
            ..wire.endpoint(&fake)
        };
        let mut stream = ai().stream(&endpoint, &question("m")).await.unwrap();
        assert_eq!(gather(&mut stream).await.text, ANSWER, "{}", wire.name);
    }
}

#[tokio::test]
async fn finish_reasons_are_told_apart_in_every_format() {
    let fake = FakeAi::start().await.unwrap();
    let words = [
        ["length", "content_filter", "galaxy"],
        ["max_tokens", "refusal", "galaxy"],
        ["MAX_TOKENS", "SAFETY", "GALAXY"],
        ["length", "content_filter", "galaxy"],
        ["length", "content_filter", "galaxy"],
    ];
    for (wire, words) in WIRES.into_iter().zip(words) {
        for (word, ending) in
            words
                .into_iter()
                .zip([Ending::Length, Ending::ContentFilter, Ending::Stop])
        {
            let request = question(&format!("fake:finish={word}"));
            let mut stream = ai().stream(&wire.endpoint(&fake), &request).await.unwrap();
            assert_eq!(gather(&mut stream).await.finish, Some(ending), "{word}");
            assert_eq!(stream.raw_finish_reason(), Some(word));
        }
    }
}

#[tokio::test]
async fn a_model_without_a_temperature_is_asked_again_without_one() {
    let fake = FakeAi::start().await.unwrap();
    for wire in WIRES.into_iter().filter(|it| it.name != "gemini") {
        fake.clear_requests();
        let mut stream = ai()
            .stream(&wire.endpoint(&fake), &question("fake:no_temperature"))
            .await
            .unwrap();
        assert_eq!(gather(&mut stream).await.text, ANSWER, "{}", wire.name);
        let sent = fake.requests();
        assert_eq!(sent.len(), 2, "{}", wire.name);
        assert!(sent[1].body.get("temperature").is_none(), "{}", wire.name);
    }
}

#[tokio::test]
async fn deepseek_is_shown_again_what_it_thought_before_its_calls() {
    let fake = FakeAi::start().await.unwrap();
    let endpoint = Endpoint {
        provider: Provider::Deepseek,
        ..WIRES[0].endpoint(&fake)
    };
    let tool = Tool {
        name: "search".to_owned(),
        schema: json!({"type": "object"}),
        ..Tool::default()
    };
    let mut request = ChatRequest {
        tools: vec![tool],
        ..question("fake:calls=1,reasoning=3")
    };
    request
        .messages
        .insert(0, Message::said(MessageRole::Assistant, "Welcome!"));
    let mut stream = ai().stream(&endpoint, &request).await.unwrap();
    let streamed = gather(&mut stream).await.calls;
    let whole = ai().complete(&endpoint, &request).await.unwrap().tool_calls;
    for (calls, thoughts) in [(streamed, "hm hm hm "), (whole, " ")] {
        fake.clear_requests();
        let result = ToolResult {
            call_id: calls[0].id.clone(),
            name: "search".to_owned(),
            content: "x".to_owned(),
            is_error: false,
        };
        let mut next = request.clone();
        next.messages.extend([
            Message::Called {
                content: String::new(),
                calls,
            },
            Message::Returned(result),
        ]);
        ai().stream(&endpoint, &next).await.unwrap();
        let sent = fake.requests()[0].body["messages"].clone();
        // @ai-sdk/deepseek 2.0.69, `convertToDeepSeekChatMessages`; litellm 1.110.2,
        // `DeepSeekChatConfig._fill_reasoning_content`: every message of the model has some.
        assert_eq!(sent[1]["reasoning_content"], " ");
        assert!(sent[2].get("reasoning_content").is_none());
        assert_eq!(sent[3]["reasoning_content"], thoughts);
        // They are nobody else's business.
        fake.clear_requests();
        ai().stream(&WIRES[0].endpoint(&fake), &next).await.unwrap();
        assert!(
            !fake.requests()[0]
                .body
                .to_string()
                .contains("reasoning_content")
        );
    }
}
