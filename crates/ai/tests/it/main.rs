//! The AI crate against the fake provider, over real sockets and through the real door.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do, and clippy knows only the tests themselves"
)]

mod embeddings;
mod errors;
mod faults;
mod hang_up;
mod not_http;
mod streams;

use std::time::Duration;

use stoa_ai::{Ai, AiError, AnswerEvent, AnswerStream, ChatRequest, Endpoint, Limits, Turn};
use stoa_domain::{FinishReason, MessageRole, Provider};
use stoa_fake_ai::FakeAi;
use stoa_outbound::{AddressPolicy, Outbound};

/// A key that must never be seen where it does not belong.
pub(crate) const KEY: &str = "sk-very-secret-0123456789";

pub(crate) fn ai() -> Ai {
    Ai::new(Outbound::new(AddressPolicy::loopback()))
}

/// Limits short enough to be waited for.
pub(crate) fn impatient() -> Ai {
    let limits = Limits {
        first_token: Duration::from_millis(300),
        between_tokens: Duration::from_millis(300),
        after_finish: Duration::from_millis(200),
        single_reply: Duration::from_millis(300),
        ..Limits::default()
    };
    Ai::with_limits(Outbound::new(AddressPolicy::loopback()), limits)
}

pub(crate) fn endpoint(base_url: &str) -> Endpoint {
    Endpoint {
        provider: Provider::OpenaiCompatible,
        base_url: Some(base_url.parse().unwrap()),
        api_key: Some(KEY.into()),
    }
}

pub(crate) fn question(model: &str) -> ChatRequest {
    ChatRequest {
        model: model.to_owned(),
        system: "Be kind.\n[1] Returns\n60 days.".to_owned(),
        messages: vec![Turn {
            role: MessageRole::User,
            content: "How long?".to_owned(),
        }],
        temperature: Some(0.2),
        max_output_tokens: Some(50),
    }
}

/// What the fake answers to [`question`].
pub(crate) const ANSWER: &str = "You asked: How long? According to [1]: Returns 60 days.";

/// An answer, gathered to its end.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Gathered {
    pub(crate) text: String,
    pub(crate) pieces: usize,
    pub(crate) usage: Option<(u64, u64)>,
    pub(crate) finish: Option<FinishReason>,
    pub(crate) error: Option<AiError>,
}

pub(crate) async fn gather(stream: &mut AnswerStream) -> Gathered {
    let mut all = Gathered::default();
    while let Some(event) = stream.next().await {
        assert!(
            all.finish.is_none() && all.error.is_none(),
            "nothing follows the end"
        );
        match event {
            Ok(AnswerEvent::Text(text)) => {
                assert!(!text.is_empty());
                all.text.push_str(&text);
                all.pieces += 1;
            }
            Ok(AnswerEvent::Usage {
                input_tokens,
                output_tokens,
            }) => {
                all.usage = Some((input_tokens, output_tokens));
            }
            Ok(AnswerEvent::Finish(reason)) => all.finish = Some(reason),
            Err(error) => all.error = Some(error),
        }
    }
    assert!(stream.next().await.is_none(), "an ended stream stays ended");
    all
}

/// Asks the fake with `behaviour` and gathers the answer.
pub(crate) async fn ask(ai: &Ai, fake: &FakeAi, behaviour: &str) -> Result<Gathered, AiError> {
    let endpoint = endpoint(&fake.base_url());
    let request = question(&format!("fake:{behaviour}"));
    let mut stream = ai.stream(&endpoint, &request).await?;
    Ok(gather(&mut stream).await)
}
