//! The hash over a line of the audit log.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What the first line takes for the hash before it.
pub(super) const GENESIS: [u8; 32] = [0; 32];

/// A line as it is stored; `details` is the very text.
pub(super) struct Line {
    pub(super) position: i64,
    pub(super) id: Uuid,
    pub(super) at: DateTime<Utc>,
    pub(super) actor_kind: String,
    pub(super) actor_id: Option<Uuid>,
    pub(super) actor_name: String,
    pub(super) action: String,
    pub(super) target_kind: String,
    pub(super) target_id: String,
    pub(super) instance_id: Option<Uuid>,
    pub(super) address: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) details: String,
}

impl Line {
    /// SHA-256 over the previous hash and every field, each with a mark of presence and its length
    /// before it, so that no two lines have the same bytes.
    pub(super) fn hash(&self, previous: &[u8]) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(b"stoa audit log v1");
        let at = self.at.timestamp_micros();
        let fields: [Option<&[u8]>; 14] = [
            Some(previous),
            Some(&self.position.to_be_bytes()),
            Some(self.id.as_bytes()),
            Some(&at.to_be_bytes()),
            Some(self.actor_kind.as_bytes()),
            self.actor_id.as_ref().map(|id| id.as_bytes().as_slice()),
            Some(self.actor_name.as_bytes()),
            Some(self.action.as_bytes()),
            Some(self.target_kind.as_bytes()),
            Some(self.target_id.as_bytes()),
            self.instance_id.as_ref().map(|id| id.as_bytes().as_slice()),
            self.address.as_deref().map(str::as_bytes),
            self.reason.as_deref().map(str::as_bytes),
            Some(self.details.as_bytes()),
        ];
        for field in fields {
            match field {
                None => hasher.update([0]),
                Some(bytes) => {
                    hasher.update([1]);
                    hasher.update((bytes.len() as u64).to_be_bytes());
                    hasher.update(bytes);
                }
            }
        }
        hasher.finalize().into()
    }
}
