//! Whoever asks: the same client for everything that is measured.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures_util::future::try_join_all;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;

/// How every answer ends that is whole.
const END: &[u8] = b"data: [DONE]\n\n";

/// The client, and requests that set things up.
pub(crate) struct Http(Client);

/// Where questions of one conversation are sent, one after the other.
#[derive(Clone)]
pub(crate) struct Conversation {
    pub(crate) url: String,
    pub(crate) token: String,
    /// The question, ready to be sent.
    pub(crate) question: Bytes,
    /// What stands in the stream where its first token does.
    pub(crate) first_token: &'static [u8],
}

impl Conversation {
    /// The same conversation on another server of the same platform.
    pub(crate) fn at(&self, base: &str) -> Self {
        let path = self.url.find("/api/").map_or("", |at| &self.url[at..]);
        Self {
            url: format!("{base}{path}"),
            ..self.clone()
        }
    }
}

/// How long an answer took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    /// Until its first token.
    pub(crate) first_token: Duration,
}

/// An answer that has begun, and goes on while this is held.
pub(crate) struct Open {
    _response: Response,
}

/// What came of several conversations.
pub(crate) struct Load {
    pub(crate) answers: Vec<Taken>,
    pub(crate) elapsed: Duration,
}

impl Http {
    #[expect(
        clippy::disallowed_methods,
        reason = "the servers that are measured are on loopback, at addresses that no client chose"
    )]
    pub(crate) fn new() -> Result<Self> {
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .build()?;
        Ok(Self(client))
    }

    pub(crate) fn request(&self, method: Method, url: &str, token: &str) -> RequestBuilder {
        self.0.request(method, url).bearer_auth(token)
    }

    pub(crate) async fn put_text(&self, url: &str, text: &str) -> Result<()> {
        let response = self.0.put(url).body(text.to_owned()).send().await?;
        response.error_for_status()?;
        Ok(())
    }

    /// Whether a server answers there.
    pub(crate) async fn is_up(&self, url: &str) -> bool {
        let answer = self.0.get(url).send().await;
        answer.is_ok_and(|response| response.status().is_success())
    }

    /// Sends JSON and gives what comes back, which must be a success.
    pub(crate) async fn post(&self, url: &str, token: &str, body: &Value) -> Result<Value> {
        let response = self.request(Method::POST, url, token).json(body).send();
        let response = response.await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "{url} answers {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    fn question(&self, of: &Conversation) -> RequestBuilder {
        self.request(Method::POST, &of.url, &of.token)
            .header("content-type", "application/json")
            .body(of.question.clone())
    }

    /// Asks and reads the answer to its first token.
    pub(crate) async fn open(&self, of: &Conversation) -> Result<Open> {
        let mut response = self.question(of).send().await?;
        let status = response.status();
        let mut answer = Vec::new();
        while !contains(&answer, of.first_token) {
            let piece = response.chunk().await?.with_context(|| {
                let said = String::from_utf8_lossy(&answer);
                format!("{} answers {status}: {said}", of.url)
            })?;
            answer.extend_from_slice(&piece);
        }
        Ok(Open {
            _response: response,
        })
    }

    /// Stops what is being written in a conversation with Stoa.
    pub(crate) async fn stop(&self, of: &Conversation) -> Result<()> {
        let path = of.url.strip_suffix("/messages");
        let url = format!("{}/stop", path.context("no conversation with Stoa")?);
        let response = self.request(Method::POST, &url, &of.token).send().await?;
        response.error_for_status()?;
        Ok(())
    }

    /// Asks once and reads the answer to its end.
    pub(crate) async fn ask(&self, of: &Conversation) -> Result<Taken> {
        let started = Instant::now();
        let mut response = self.question(of).send().await?;
        let status = response.status();
        let mut answer = Vec::with_capacity(16 * 1024);
        let mut first_token = None;
        while let Some(piece) = response.chunk().await? {
            answer.extend_from_slice(&piece);
            if first_token.is_none() && contains(&answer, of.first_token) {
                first_token = Some(started.elapsed());
            }
        }
        let whole = status.is_success() && answer.ends_with(END);
        ensure!(
            whole && !contains(&answer[answer.len().saturating_sub(512)..], b"\"error\""),
            "{} answers {status}: {}",
            of.url,
            String::from_utf8_lossy(&answer)
        );
        Ok(Taken {
            first_token: first_token.context("an answer without a token")?,
        })
    }

    /// Reads what was said in a conversation, which must be something.
    pub(crate) async fn read(&self, of: &Conversation) -> Result<()> {
        let response = self.request(Method::GET, &of.url, &of.token).send().await?;
        let status = response.status();
        let text = response.bytes().await?;
        ensure!(
            status.is_success() && contains(&text, b"\"role\":\"assistant\""),
            "{} answers {status}: {}",
            of.url,
            String::from_utf8_lossy(&text)
        );
        Ok(())
    }

    /// `workers` at once take conversations until there are no more, and ask `turns` questions in
    /// each. They begin one after the other over `spread`.
    pub(crate) async fn load(
        &self,
        conversations: Vec<Conversation>,
        workers: usize,
        turns: usize,
        spread: Duration,
    ) -> Result<Load> {
        let waiting = Mutex::new(conversations);
        let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let next = &next;
        let started = Instant::now();
        let worker = |index: usize| async move {
            tokio::time::sleep(spread.mul_f64(index as f64 / workers as f64)).await;
            let mut answers = Vec::new();
            while let Some(conversation) = next() {
                for _ in 0..turns {
                    answers.push(self.ask(&conversation).await?);
                }
            }
            anyhow::Ok(answers)
        };
        let answers = try_join_all((0..workers).map(worker)).await?;
        Ok(Load {
            answers: answers.into_iter().flatten().collect(),
            elapsed: started.elapsed(),
        })
    }
}

impl Load {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.answers.len() as f64 / self.elapsed.as_secs_f64()
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
