//! What a server may still send, and what it did when it sent more.

use std::{
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use crate::error::{ClientDbError, ServerError};

/// What may be read before the server has let us in, and between statements: 64 KiB.
const WHILE_NOTHING_IS_ASKED: u64 = 64 * 1024;

/// What may come unasked beside one answer: 64 KiB of notices, notifications and settings.
const UNASKED: u64 = 64 * 1024;
/// After how many bytes of settings a connection is not used again: the driver keeps them all.
const MOST_SETTINGS: u64 = 256 * 1024;

/// How many bytes the server may still send, shared by the stream and the connection above it.
#[derive(Debug)]
pub(crate) struct Budget {
    left: AtomicU64,
    unasked_left: AtomicU64,
    settings: AtomicU64,
    violation: Mutex<Option<WireViolation>>,
    /// The process that the server said it is: a pooler makes up a number.
    process_id: AtomicU32,
}

/// What a server did that ended its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireViolation {
    #[error("it does not speak PostgreSQL")]
    NotPostgres,
    #[error("it announced or sent more than it may before the sign-in")]
    TooMuchBeforeSignIn,
    #[error("it announced or sent more than the limit")]
    TooMuch,
    #[error("it sent a malformed message")]
    Malformed,
    #[error("it asks for the password in clear text")]
    CleartextPassword,
    #[error("it asks for an MD5 hash of the password")]
    Md5Password,
    #[error("it asks for a way to sign in that is not spoken here")]
    UnknownAuthentication,
}

impl From<WireViolation> for ClientDbError {
    fn from(violation: WireViolation) -> Self {
        match violation {
            WireViolation::TooMuch => Self::TooMuch,
            WireViolation::CleartextPassword
            | WireViolation::Md5Password
            | WireViolation::UnknownAuthentication => Self::SignIn(ServerError {
                // invalid_authorization_specification
                sqlstate: "28000".into(),
                message: violation.to_string(),
            }),
            WireViolation::NotPostgres
            | WireViolation::TooMuchBeforeSignIn
            | WireViolation::Malformed => Self::Protocol {
                reason: violation.to_string(),
            },
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            left: AtomicU64::new(WHILE_NOTHING_IS_ASKED),
            unasked_left: AtomicU64::new(UNASKED),
            settings: AtomicU64::new(0),
            violation: Mutex::new(None),
            process_id: AtomicU32::new(0),
        }
    }
}

impl Budget {
    /// Allows `bytes` for the answer to a statement.
    pub(crate) fn allow(&self, bytes: u64) {
        self.left.store(bytes, Ordering::Relaxed);
        self.unasked_left.store(UNASKED, Ordering::Relaxed);
    }

    /// Back to what may come unasked.
    pub(crate) fn rest(&self) {
        self.allow(WHILE_NOTHING_IS_ASKED);
    }

    /// What the server did, if it did something.
    pub(crate) fn violation(&self) -> Option<WireViolation> {
        *self
            .violation
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The process that the server said it is.
    pub(crate) fn process_id(&self) -> u32 {
        self.process_id.load(Ordering::Relaxed)
    }

    /// Whether so much was kept over the connection's life that it had better end.
    pub(crate) fn is_worn(&self) -> bool {
        self.settings.load(Ordering::Relaxed) > MOST_SETTINGS
    }

    pub(super) fn set_process_id(&self, process_id: u32) {
        self.process_id.store(process_id, Ordering::Relaxed);
    }

    pub(super) fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    /// False when there was less left than `bytes`.
    pub(super) fn spend(&self, bytes: u64) -> bool {
        take(&self.left, bytes)
    }

    /// Counts a message that nobody asked for. False when there was less left for those.
    pub(super) fn spend_unasked(&self, tag: u8, bytes: u64) -> bool {
        if tag == b'S' {
            self.settings.fetch_add(bytes, Ordering::Relaxed);
        }
        take(&self.unasked_left, bytes)
    }

    pub(super) fn record(&self, violation: WireViolation) -> io::Error {
        *self
            .violation
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(violation);
        io::Error::other(violation)
    }
}

/// False when `count` is less than `bytes`.
fn take(count: &AtomicU64, bytes: u64) -> bool {
    count
        .try_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(bytes)
        })
        .is_ok()
}
