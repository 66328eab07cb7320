//! The AI crate against the fake provider, over real sockets and through the real door.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail as tests do, and clippy knows only the tests themselves"
)]

mod breaker;
mod embeddings;
mod errors;
mod faults;
mod hang_up;
mod models;
mod not_http;
mod recorded;
mod streams;
mod tools;
mod wires;

use std::time::Duration;

use stoa_ai::{
    Ai, AiError, AnswerEvent, AnswerStream, ChatRequest, Ending, Endpoint, Limits, Message,
    ToolCall,
};
use stoa_domain::{MessageRole, Provider};
use stoa_fake_ai::FakeAi;
use stoa_outbound::{AddressPolicy, Outbound};

/// A key that must never be seen where it does not belong.
pub(crate) const KEY: &str = "sk-very-secret-0123456789";

/// A wire format, as the fake speaks it.
#[derive(Clone, Copy)]
pub(crate) struct Spoken {
    pub(crate) name: &'static str,
    pub(crate) provider: Provider,
    base_url: fn(&FakeAi) -> String,
}

/// Every wire format, and Azure in both of its forms.
pub(crate) const WIRES: [Spoken; 5] = [
    Spoken {
        name: "openai",
        provider: Provider::OpenaiCompatible,
        base_url: FakeAi::base_url,
    },
    Spoken {
        name: "anthropic",
        provider: Provider::Anthropic,
        base_url: FakeAi::base_url,
    },
    Spoken {
        name: "gemini",
        provider: Provider::Gemini,
        base_url: FakeAi::gemini_url,
    },
    Spoken {
        name: "azure",
        provider: Provider::AzureOpenai,
        base_url: FakeAi::azure_url,
    },
    Spoken {
        name: "azure deployments",
        provider: Provider::AzureOpenai,
        base_url: FakeAi::azure_deployments_url,
    },
];

impl Spoken {
    pub(crate) fn endpoint(self, fake: &FakeAi) -> Endpoint {
        Endpoint {
            provider: self.provider,
            ..endpoint(&(self.base_url)(fake))
        }
    }

    /// Asks the fake in this format with `behaviour` and gathers the answer.
    pub(crate) async fn ask(
        self,
        ai: &Ai,
        fake: &FakeAi,
        behaviour: &str,
    ) -> Result<Gathered, AiError> {
        let request = question(&format!("fake:{behaviour}"));
        let mut stream = ai.stream(&self.endpoint(fake), &request).await?;
        Ok(gather(&mut stream).await)
    }
}

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
        messages: vec![Message::said(MessageRole::User, "How long?")],
        temperature: Some(0.2),
        max_output_tokens: Some(50),
        ..ChatRequest::default()
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
    pub(crate) calls: Vec<ToolCall>,
    /// The arguments of each call, as they came in pieces.
    pub(crate) written: Vec<String>,
    pub(crate) finish: Option<Ending>,
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
            Ok(AnswerEvent::ToolCallStart { index, .. }) => {
                assert_eq!(index, all.written.len(), "calls begin in their order");
                all.written.push(String::new());
            }
            Ok(AnswerEvent::ToolCallArguments { index, text }) => {
                assert!(!text.is_empty());
                all.written[index].push_str(&text);
            }
            Ok(AnswerEvent::ToolCall { index, call }) => {
                assert_eq!(all.written[index], call.arguments);
                all.calls.push(call);
            }
            Ok(AnswerEvent::Usage(usage)) => {
                all.usage = Some((usage.input_tokens, usage.output_tokens));
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
