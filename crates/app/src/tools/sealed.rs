//! A tool's address and headers, sealed as one so that neither can be exchanged for another's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stoa_domain::seal::{DataKey, SealError, SealPlace};
use stoa_domain::{InstanceId, Random, ToolId};
use zeroize::Zeroizing;

/// Where a tool is and what goes along. The headers hold secrets, so there is no `Debug`.
#[derive(Serialize, Deserialize)]
pub(super) struct Endpoint {
    /// The address with its placeholders.
    pub(super) url: String,
    /// The headers by name.
    pub(super) headers: BTreeMap<String, String>,
}

fn place(instance: InstanceId, id: ToolId) -> SealPlace {
    SealPlace {
        instance,
        table: "tools",
        column: "sealed",
        row: id.as_uuid(),
    }
}

impl Endpoint {
    /// Opens what is stored of a tool.
    pub(super) fn open(
        sealed: &[u8],
        id: ToolId,
        instance: InstanceId,
        key: &DataKey,
    ) -> Result<Self, SealError> {
        let opened = key.open(&place(instance, id), sealed)?;
        serde_json::from_slice(&opened).map_err(|_| SealError::Malformed)
    }

    /// Seals it for a tool.
    pub(super) fn seal(
        &self,
        id: ToolId,
        instance: InstanceId,
        key: &DataKey,
        random: &Random,
    ) -> Result<Vec<u8>, SealError> {
        let plain = serde_json::to_vec(self).map_err(|_| SealError::Malformed)?;
        key.seal(&place(instance, id), &Zeroizing::new(plain), random)
    }
}
