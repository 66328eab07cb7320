//! Answers that go well, and what is sent for them.

use std::time::{Duration, Instant};

use serde_json::json;
use stoa_ai::{AiErrorCode, Ending, Endpoint};
use stoa_domain::Provider;
use stoa_fake_ai::FakeAi;

use crate::{ANSWER, KEY, ai, ask, endpoint, gather, question};

#[tokio::test]
async fn an_answer_streams_with_usage_and_an_end() {
    let fake = FakeAi::start().await.unwrap();
    let mut stream = ai()
        .stream(&endpoint(&fake.base_url()), &question("m"))
        .await
        .unwrap();
    let all = gather(&mut stream).await;
    assert_eq!(all.text, ANSWER);
    assert!(all.pieces > 5, "{all:?}");
    assert_eq!(all.usage, Some((8, 10)));
    assert_eq!(all.finish, Some(Ending::Stop));
    assert_eq!(all.error, None);
    assert_eq!(stream.model(), Some("m"));
    assert_eq!(stream.raw_finish_reason(), Some("stop"));
    let sent = &fake.requests()[0];
    assert_eq!(sent.authorization, Some(format!("Bearer {KEY}")));
    assert_eq!(
        sent.body,
        json!({
            "model": "m",
            "messages": [
                {"role": "system", "content": "Be kind.\n[1] Returns\n60 days."},
                {"role": "user", "content": "How long?"},
            ],
            "temperature": 0.2,
            "max_tokens": 50,
            "stream": true,
            "stream_options": {"include_usage": true},
        })
    );
}

#[tokio::test]
async fn every_base_url_that_people_write_works() {
    let fake = FakeAi::start().await.unwrap();
    let root = format!("http://{}", fake.addr);
    for (base, requests) in [
        (format!("{root}/v1"), 1),
        (format!("{root}/v1/"), 1),
        (format!("{root}/v1/chat/completions"), 1),
        // The wrong place is asked first, but is no request for the fake to record.
        (root.clone(), 1),
        (format!("{root}/"), 1),
    ] {
        fake.clear_requests();
        let mut stream = ai().stream(&endpoint(&base), &question("m")).await.unwrap();
        assert_eq!(gather(&mut stream).await.text, ANSWER, "{base}");
        assert_eq!(fake.count(), requests, "{base}");
    }
    let error = ai()
        .stream(&endpoint(&format!("{root}/v2")), &question("m"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), AiErrorCode::NotFound);
}

#[tokio::test]
async fn providers_of_the_same_format_differ_where_they_must() {
    let fake = FakeAi::start().await.unwrap();
    // groq 1.7.0 for Python, `CompletionCreateParams`, and @ai-sdk/xai 3.0.138 on the newer name;
    // @ai-sdk/mistral 3.0.69 and @ai-sdk/deepseek 2.0.69 on the older.
    for (provider, limit, asks_for_usage) in [
        (Provider::Openai, "max_completion_tokens", true),
        (Provider::Ollama, "max_tokens", true),
        (Provider::Mistral, "max_tokens", false),
        (Provider::Groq, "max_completion_tokens", true),
        (Provider::Deepseek, "max_tokens", true),
        (Provider::Xai, "max_completion_tokens", true),
        (Provider::Openrouter, "max_tokens", true),
    ] {
        fake.clear_requests();
        let endpoint = Endpoint {
            provider,
            ..endpoint(&fake.base_url())
        };
        let mut stream = ai().stream(&endpoint, &question("m")).await.unwrap();
        assert_eq!(gather(&mut stream).await.text, ANSWER);
        let body = &fake.requests()[0].body;
        assert_eq!(body[limit], 50, "{provider}");
        assert_eq!(
            body["stream_options"].is_object(),
            asks_for_usage,
            "{provider}"
        );
    }
}

#[tokio::test]
async fn a_server_without_a_key_gets_none() {
    let fake = FakeAi::start().await.unwrap();
    let endpoint = Endpoint {
        provider: Provider::Ollama,
        api_key: None,
        ..endpoint(&fake.base_url())
    };
    ai().stream(&endpoint, &question("m")).await.unwrap();
    assert_eq!(fake.requests()[0].authorization, None);
}

#[tokio::test]
async fn a_server_that_does_not_know_our_fields_is_asked_without_them() {
    let fake = FakeAi::start().await.unwrap();
    let all = ask(&ai(), &fake, "strict").await.unwrap();
    assert_eq!(all.text, ANSWER);
    assert_eq!(all.usage, None, "absent is absent, not 0");
    assert_eq!(fake.count(), 2);
}

#[tokio::test]
async fn usage_that_is_not_reported_is_absent() {
    let fake = FakeAi::start().await.unwrap();
    assert_eq!(ask(&ai(), &fake, "no_usage").await.unwrap().usage, None);
}

#[tokio::test]
async fn finish_reasons_are_told_apart_and_unknown_ones_kept() {
    let fake = FakeAi::start().await.unwrap();
    for (word, reason) in [
        ("length", Ending::Length),
        ("content_filter", Ending::ContentFilter),
        ("galaxy", Ending::Stop),
    ] {
        let request = question(&format!("fake:finish={word}"));
        let mut stream = ai()
            .stream(&endpoint(&fake.base_url()), &request)
            .await
            .unwrap();
        assert_eq!(gather(&mut stream).await.finish, Some(reason));
        assert_eq!(stream.raw_finish_reason(), Some(word));
    }
}

#[tokio::test]
async fn a_server_that_answers_at_once_is_understood() {
    let fake = FakeAi::start().await.unwrap();
    let all = ask(&ai(), &fake, "whole").await.unwrap();
    assert_eq!((all.text.as_str(), all.usage), (ANSWER, Some((8, 10))));
    assert_eq!(all.finish, Some(Ending::Stop));
}

#[tokio::test]
async fn a_whole_answer_can_be_asked_for() {
    let fake = FakeAi::start().await.unwrap();
    let whole = ai()
        .complete(&endpoint(&fake.base_url()), &question("m"))
        .await
        .unwrap();
    assert_eq!(whole.text, ANSWER);
    assert_eq!(whole.usage.map(|it| it.output_tokens), Some(10));
    assert_eq!(whole.ending, Ending::Stop);
    assert_eq!(whole.model.as_deref(), Some("m"));
    assert_eq!(fake.requests()[0].body["stream"], false);
}

#[tokio::test]
async fn connections_are_used_again_after_an_answer() {
    let fake = FakeAi::start().await.unwrap();
    let ai = ai();
    let request = question("fake:delay=5");
    for _ in 0..20 {
        let mut stream = ai
            .stream(&endpoint(&fake.base_url()), &request)
            .await
            .unwrap();
        gather(&mut stream).await;
    }
    assert!(
        fake.connections() <= 2,
        "{} connections",
        fake.connections()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_stream_at_once() {
    let fake = FakeAi::start().await.unwrap();
    let (ai, endpoint) = (ai(), endpoint(&fake.base_url()));
    let request = question("fake:delay=100,rate=100,tokens=50");
    let started = Instant::now();
    let answers = (0..256).map(|_| async {
        let mut stream = ai.stream(&endpoint, &request).await.unwrap();
        gather(&mut stream).await
    });
    let answers = futures_util::future::join_all(answers).await;
    assert!(answers.iter().all(|it| *it == answers[0]));
    assert_eq!(answers[0].usage, Some((8, 50)));
    // One alone takes 0.6 s; one after the other they would take minutes.
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_stream_can_be_handed_to_another_task() {
    fn takes<T: Send + Unpin + 'static>() {}
    takes::<stoa_ai::AnswerStream>();
}
