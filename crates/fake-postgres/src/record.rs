//! What a server has heard and said.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// How much of what clients say is kept.
const MOST_HEARD: usize = 1 << 20;
/// How many statements are kept.
const MOST_STATEMENTS: usize = 10_000;

/// What one server has heard and said, over all connections.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) connections: Counter,
    pub(crate) cancels: Counter,
    pub(crate) said: Counter,
    heard: Mutex<Vec<u8>>,
    statements: Mutex<Vec<String>>,
}

/// A number that grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::SeqCst);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Record {
    pub(crate) fn hear(&self, bytes: &[u8]) {
        let mut heard = lock(&self.heard);
        let room = MOST_HEARD.saturating_sub(heard.len()).min(bytes.len());
        heard.extend(&bytes[..room]);
    }

    pub(crate) fn statement(&self, sql: &str) {
        let mut statements = lock(&self.statements);
        if statements.len() < MOST_STATEMENTS {
            statements.push(sql.to_owned());
        }
    }

    pub(crate) fn heard(&self) -> Vec<u8> {
        lock(&self.heard).clone()
    }

    pub(crate) fn statements(&self) -> Vec<String> {
        lock(&self.statements).clone()
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
