//! Streams as the providers' documentation shows them (`tests/recorded`, written by hand), played
//! back over a real socket and cut into reads at any place.

use std::time::Duration;

use proptest::prelude::*;
use stoa_ai::{AiError, AiErrorCode, Ending, Endpoint};
use stoa_domain::Provider;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{Gathered, KEY, ai, gather, question};

/// A recording, and what it says.
struct Recorded {
    name: &'static str,
    stream: &'static str,
    provider: Provider,
    said: Said,
}

/// What a recording says.
#[derive(Debug, PartialEq)]
struct Said {
    text: &'static str,
    /// Names and arguments.
    calls: &'static [(&'static str, &'static str)],
    /// Read, written.
    usage: Option<(u64, u64)>,
    end: Result<Ending, AiErrorCode>,
    model: Option<&'static str>,
}

macro_rules! recorded {
    ($($name:literal, $provider:ident, $text:expr, $calls:expr, $usage:expr, $end:expr, $model:expr;)+) => {
        &[$(Recorded {
            name: $name,
            stream: include_str!(concat!("../recorded/", $name, ".sse")),
            provider: Provider::$provider,
            said: Said { text: $text, calls: $calls, usage: $usage, end: $end, model: $model },
        }),+]
    };
}

const HELLO: &str = "Grüße aus 東京 🦀";
const WEATHER: (&str, &str) = ("get_weather", r#"{"location":"Köln"}"#);
const TIME: (&str, &str) = ("get_time", "{}");

const ALL: &[Recorded] = recorded! {
    "openai_text", Openai, HELLO, &[], Some((1_100, 9)), Ok(Ending::Stop), Some("gpt-4o-2024-08-06");
    "openai_tools", Openai, "", &[WEATHER, TIME], Some((80, 40)), Ok(Ending::ToolCalls), Some("gpt-4o-2024-08-06");
    "anthropic_text", Anthropic, HELLO, &[], Some((1_025, 15)), Ok(Ending::Stop), Some("claude-sonnet-4-5-20250929");
    "anthropic_tools", Anthropic, "Okay, let me look.", &[WEATHER, ("get_time", "")], Some((472, 89)), Ok(Ending::ToolCalls), Some("claude-sonnet-4-5-20250929");
    "anthropic_overloaded", Anthropic, "Half an ", &[], None, Err(AiErrorCode::Overloaded), Some("claude-haiku-4-5-20251001");
    "anthropic_refusal", Anthropic, "I cannot", &[], Some((25, 4)), Ok(Ending::ContentFilter), Some("claude-opus-4-1-20250805");
    "gemini_text", Gemini, HELLO, &[], Some((11, 58)), Ok(Ending::Stop), Some("gemini-2.5-flash");
    "gemini_tools", Gemini, "", &[WEATHER, TIME], Some((72, 36)), Ok(Ending::ToolCalls), Some("gemini-2.5-flash");
    "gemini_blocked", Gemini, "", &[], None, Err(AiErrorCode::ContentFiltered), None;
    "gemini_safety", Gemini, "It is", &[], Some((8, 2)), Ok(Ending::ContentFilter), Some("gemini-2.0-flash");
    "azure_text", AzureOpenai, HELLO, &[], Some((20, 9)), Ok(Ending::Stop), Some("gpt-4o-2024-11-20");
    "openrouter_error", Openrouter, "Half an ", &[], None, Err(AiErrorCode::Overloaded), Some("meta-llama/llama-3.3-70b-instruct");
    "mistral_tools", Mistral, "", &[("get_weather", r#"{"location": "Köln"}"#), ("get_time", r#"{"zone":"CET"}"#)], Some((99, 22)), Ok(Ending::ToolCalls), Some("mistral-large-2411");
    "groq_usage", Groq, HELLO, &[], Some((37, 9)), Ok(Ending::Length), Some("llama-3.1-8b-instant");
    "deepseek_reasoning", Deepseek, HELLO, &[], Some((18, 219)), Ok(Ending::Stop), Some("deepseek-reasoner");
    // By the types of the providers' own libraries: mistralai 3.7.0 (`DeltaMessage`, `ThinkChunk`,
    // `FunctionCall`), @ai-sdk/xai 3.0.138 (`convertXaiChatUsage`), groq 1.7.0 (`XGroq`), google-genai
    // 3.6.1 (`FunctionCall`, `Part`), anthropic 2.14.0 (`ThinkingBlock`, `MessageDeltaUsage`).
    "mistral_thinking", Mistral, HELLO, &[("get_weather", r#"{"location":"Köln"}"#)], Some((41, 30)), Ok(Ending::ToolCalls), Some("magistral-medium-2509");
    "xai_reasoning", Xai, HELLO, &[], Some((12, 109)), Ok(Ending::Stop), Some("grok-4.7");
    "groq_failed", Groq, "Half an ", &[], None, Err(AiErrorCode::Overloaded), Some("openai/gpt-oss-20b");
    "gemini_ids", Gemini, "", &[WEATHER, TIME], Some((50, 31)), Ok(Ending::ToolCalls), Some("gemini-3.8-flash");
    "anthropic_thinking", Anthropic, "", &[WEATHER], Some((1_040, 77)), Ok(Ending::ToolCalls), Some("claude-sonnet-5-5");
    "ollama_tools", Ollama, "", &[WEATHER, TIME], None, Ok(Ending::ToolCalls), Some("qwen3");
};

/// Plays `pieces` back, each as a chunk of its own, to whom `ask` asks.
async fn serving<T>(
    provider: Provider,
    pieces: &[&[u8]],
    ask: impl AsyncFnOnce(Endpoint) -> T,
) -> T {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        play(&mut socket, pieces).await;
        // Kept open until the reader has seen the end.
        std::future::pending::<()>().await;
    };
    let endpoint = Endpoint {
        provider,
        base_url: Some(format!("http://{address}/v1").parse().unwrap()),
        api_key: Some(KEY.into()),
    };
    let both = async {
        tokio::select! {
            result = ask(endpoint) => result,
            () = serve => unreachable!("the server serves for ever"),
        }
    };
    tokio::time::timeout(Duration::from_secs(10), Box::pin(both))
        .await
        .unwrap()
}

/// Plays `pieces` back and says what was understood.
async fn played(provider: Provider, pieces: &[&[u8]]) -> (Gathered, Option<String>) {
    let ask = async |endpoint: Endpoint| match ai().stream(&endpoint, &question("m")).await {
        Ok(mut stream) => {
            let all = gather(&mut stream).await;
            (all, stream.model().map(str::to_owned))
        }
        Err(error) => (failed(error), None),
    };
    serving(provider, pieces, ask).await
}

fn failed(error: AiError) -> Gathered {
    Gathered {
        error: Some(error),
        ..Gathered::default()
    }
}

async fn play(socket: &mut TcpStream, pieces: &[&[u8]]) {
    let mut request = [0; 8192];
    let _ = socket.read(&mut request).await;
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut bytes = head.as_bytes().to_vec();
    for piece in pieces.iter().filter(|it| !it.is_empty()) {
        bytes.extend(format!("{:x}\r\n", piece.len()).bytes());
        bytes.extend_from_slice(piece);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    let _ = socket.write_all(&bytes).await;
}

fn agrees(recorded: &Recorded, (all, model): &(Gathered, Option<String>)) {
    let name = recorded.name;
    let said = &recorded.said;
    assert_eq!(all.text, said.text, "{name}");
    let calls: Vec<_> = all
        .calls
        .iter()
        .map(|it| (it.name.as_str(), it.arguments.as_str()))
        .collect();
    assert_eq!(calls, said.calls, "{name}");
    assert_eq!(all.usage, said.usage, "{name}");
    assert_eq!(model.as_deref(), said.model, "{name}");
    match (all.finish, &all.error) {
        (Some(ending), None) => assert_eq!(Ok(ending), said.end, "{name}"),
        (None, Some(error)) => assert_eq!(Err(error.code()), said.end, "{name}: {error:?}"),
        both => unreachable!("{name}: exactly one end, not {both:?}"),
    }
}

#[tokio::test]
async fn every_recorded_stream_is_understood_byte_by_byte_and_with_every_line_end() {
    for recorded in ALL {
        let bytes = recorded.stream.as_bytes();
        agrees(recorded, &played(recorded.provider, &[bytes]).await);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        agrees(recorded, &played(recorded.provider, &single).await);
        for end in ["\r\n", "\r"] {
            let stream = recorded.stream.replace('\n', end);
            let pieces: Vec<&[u8]> = stream.as_bytes().chunks(11).collect();
            agrees(recorded, &played(recorded.provider, &pieces).await);
        }
    }
}

#[tokio::test]
async fn a_recorded_stream_that_is_cut_short_ends_all_the_same() {
    for recorded in ALL {
        for share in 1..8 {
            let bytes = &recorded.stream.as_bytes()[..recorded.stream.len() * share / 8];
            let (all, _) = played(recorded.provider, &[bytes]).await;
            let ends = [all.finish.is_some(), all.error.is_some()];
            assert!(ends[0] != ends[1], "{} {share}: {all:?}", recorded.name);
            let text = recorded.said.text;
            assert!(text.starts_with(&all.text), "{}", recorded.name);
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_in_a_call_gives_no_half_of_it() {
    let mut cut_in_a_call = Vec::new();
    for recorded in ALL.iter().filter(|it| !it.said.calls.is_empty()) {
        for share in 1..32 {
            let bytes = &recorded.stream.as_bytes()[..recorded.stream.len() * share / 32];
            let (all, _) = played(recorded.provider, &[bytes]).await;
            // What had begun was shown, but a call is told only when it is whole.
            if all.written.len() > all.calls.len() {
                assert!(all.error.is_some(), "{} {share}: {all:?}", recorded.name);
                cut_in_a_call.push(recorded.name);
            }
            for (call, said) in all.calls.iter().zip(recorded.said.calls) {
                let call = (call.name.as_str(), call.arguments.as_str());
                assert_eq!(call, *said, "{} {share}", recorded.name);
            }
        }
    }
    for name in ["openai_tools", "anthropic_tools", "ollama_tools"] {
        assert!(cut_in_a_call.contains(&name), "{name} was cut in a call");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_cutting_of_a_recorded_stream_is_understood_alike(
        index in 0..ALL.len(),
        cuts in proptest::collection::vec(0_usize..5_000, 0..40),
    ) {
        let recorded = &ALL[index];
        let bytes = recorded.stream.as_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|it| it % (bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|it| &bytes[it[0]..it[1]]).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        agrees(recorded, &runtime.block_on(played(recorded.provider, &pieces)));
    }
}

#[tokio::test]
async fn an_answer_that_is_asked_for_whole_and_streams_is_gathered() {
    for recorded in ALL {
        let pieces = [recorded.stream.as_bytes()];
        let ask = async |endpoint| ai().complete(&endpoint, &question("m")).await;
        let whole = serving(recorded.provider, &pieces, ask).await;
        let name = recorded.name;
        match (whole, recorded.said.end) {
            (Ok(whole), Ok(ending)) => {
                assert_eq!(whole.text, recorded.said.text, "{name}");
                assert_eq!(whole.ending, ending, "{name}");
                assert_eq!(whole.model.as_deref(), recorded.said.model, "{name}");
                let usage = whole.usage.map(|it| (it.input_tokens, it.output_tokens));
                assert_eq!(usage, recorded.said.usage, "{name}");
                assert_eq!(whole.tool_calls.len(), recorded.said.calls.len(), "{name}");
            }
            (Err(error), Err(code)) => assert_eq!(error.code(), code, "{name}"),
            both => unreachable!("{name}: {both:?}"),
        }
    }
}

#[tokio::test]
async fn what_goes_wrong_after_the_answer_has_finished_takes_nothing_from_it() {
    let finished =
        "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\n";
    for after in [
        "data: {\"error\":{\"message\":\"late\"}}\n\n",
        "data: {\"cho\n\n",
        "data: \n\n",
    ] {
        let stream = format!("{finished}{after}");
        let (all, _) = played(Provider::Openai, &[stream.as_bytes()]).await;
        assert_eq!(all.text, "Hi", "{after}");
        assert_eq!(
            (all.finish, all.error),
            (Some(Ending::Stop), None),
            "{after}"
        );
    }
}
