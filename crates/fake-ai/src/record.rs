//! What was asked, and how it ended.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::Serialize;
use serde_json::Value;

/// So many requests are kept; older ones are only counted.
const KEPT: usize = 200;

/// A request as the fake saw it.
#[derive(Clone, Debug, Serialize)]
pub struct RequestRecord {
    /// Counts from 1.
    pub number: u64,
    /// Where it was sent.
    pub path: &'static str,
    /// The `Authorization` header, whole.
    pub authorization: Option<String>,
    /// The key, from the header of the format that was spoken.
    pub key: Option<String>,
    /// The model asked for.
    pub model: String,
    /// The body.
    pub body: Value,
    /// How many tokens were written so far.
    pub tokens_sent: usize,
    /// How it ended, once it has.
    pub outcome: Option<Outcome>,
    /// After how many tokens the client hung up, if it did.
    pub disconnected_at_token: Option<usize>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As it was meant to, be that an error.
    Served,
    /// The client hung up.
    Disconnected,
}

#[derive(Debug, Default)]
pub(crate) struct Records {
    count: AtomicU64,
    kept: Mutex<VecDeque<Arc<Entry>>>,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    path: &'static str,
    authorization: Option<String>,
    key: Option<String>,
    model: String,
    body: Value,
    tokens: AtomicUsize,
    outcome: OnceLock<Outcome>,
}

/// Stands for a request while it is served. Dropped before [`Watch::served`], the client has hung
/// up: the server drops what it was writing.
#[derive(Debug)]
pub(crate) struct Watch(Arc<Entry>);

impl Records {
    pub(crate) fn begin(
        &self,
        path: &'static str,
        authorization: Option<String>,
        key: Option<String>,
        model: &str,
        body: Value,
    ) -> Watch {
        let entry = Arc::new(Entry {
            number: self.count.fetch_add(1, Ordering::SeqCst) + 1,
            path,
            authorization,
            key,
            model: model.to_owned(),
            body,
            tokens: AtomicUsize::new(0),
            outcome: OnceLock::new(),
        });
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Arc::clone(&entry));
        Watch(entry)
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    pub(crate) fn list(&self) -> Vec<RequestRecord> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().map(|it| it.record()).collect()
    }

    pub(crate) fn clear(&self) {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.count.store(0, Ordering::SeqCst);
    }
}

impl Entry {
    fn record(&self) -> RequestRecord {
        let tokens = self.tokens.load(Ordering::SeqCst);
        let outcome = self.outcome.get().copied();
        RequestRecord {
            number: self.number,
            path: self.path,
            authorization: self.authorization.clone(),
            key: self.key.clone(),
            model: self.model.clone(),
            body: self.body.clone(),
            tokens_sent: tokens,
            outcome,
            disconnected_at_token: (outcome == Some(Outcome::Disconnected)).then_some(tokens),
        }
    }
}

impl Watch {
    pub(crate) fn sent_token(&self) {
        self.0.tokens.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn served(&self) {
        let _ = self.0.outcome.set(Outcome::Served);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.outcome.set(Outcome::Disconnected);
    }
}
