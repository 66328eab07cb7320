//! The fake AI provider, in a process of its own.

use anyhow::Result;
use bytes::Bytes;
use reqwest::Method;
use serde_json::{Value, json};
use stoa_fake_ai::FakeAi;

use crate::client::{Conversation, Http};
use crate::figures::QUESTION;
use crate::process::{self, Process};

/// How many tokens every answer has.
const TOKENS: usize = 40;

/// What stands in its streams where the first token does: it repeats the question. A chunk with an
/// empty text comes before, and at once.
pub(crate) const FIRST_TOKEN: &[u8] = br#""content":"You"#;

/// Serves until whoever started it ends it.
pub(crate) async fn serve() -> Result<()> {
    let fake = FakeAi::start().await?;
    process::announce(fake.addr)?;
    fake.ended().await;
    Ok(())
}

/// The fake as those see it who ask it.
pub(crate) struct Fake {
    pub(crate) process: Process,
}

impl Fake {
    pub(crate) async fn start() -> Result<Self> {
        let process = Process::of_ours(&["fake"], &[]).await?;
        Ok(Self { process })
    }

    /// What is configured as the provider's address.
    pub(crate) fn base_url(&self) -> String {
        format!("{}/v1", self.process.base)
    }

    /// Whoever asks it without anything between.
    pub(crate) fn directly(&self) -> Conversation {
        let messages = [
            json!({ "role": "system", "content": "Answer helpfully and briefly." }),
            json!({ "role": "user", "content": QUESTION }),
        ];
        Conversation {
            url: format!("{}/chat/completions", self.base_url()),
            token: "none".into(),
            question: Bytes::from(question(&messages).to_string()),
            first_token: FIRST_TOKEN,
        }
    }

    /// Forgets what it was asked.
    pub(crate) async fn forget(&self, http: &Http) -> Result<()> {
        let request = http.request(Method::DELETE, &self.requests(), "none");
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// Whether anybody has hung up on it since.
    pub(crate) async fn is_hung_up(&self, http: &Http) -> Result<bool> {
        let request = http.request(Method::GET, &self.requests(), "none");
        let kept: Value = serde_json::from_slice(&request.send().await?.bytes().await?)?;
        let requests = kept["requests"].as_array();
        let mut requests = requests.into_iter().flatten();
        Ok(requests.any(|it| it["outcome"] == "disconnected"))
    }

    fn requests(&self) -> String {
        format!("{}/_fake/requests", self.process.base)
    }

    /// How its answers come from now on, in the fake's notation.
    pub(crate) async fn behave(&self, http: &Http, how: &str) -> Result<()> {
        let notation = format!("tokens={TOKENS},{how}");
        let url = format!("{}/_fake/behaviour", self.process.base);
        http.put_text(&url, notation.trim_end_matches(',')).await
    }
}

/// A question as the provider is asked it.
pub(crate) fn question(messages: &[Value]) -> Value {
    json!({
        "model": "fake",
        "messages": messages,
        "stream": true,
        "stream_options": { "include_usage": true },
    })
}
