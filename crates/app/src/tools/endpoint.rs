//! Where something is that a client has its bot call, and the headers that go along: sealed as one so
//! that neither can be exchanged for another's, and changed so that no header goes astray.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use stoa_domain::seal::{DataKey, SealError, SealPlace};
use stoa_domain::{InstanceId, Random};
use stoa_tools::headers::hint;
use url::Url;
use uuid::Uuid;
use zeroize::Zeroizing;

/// An address and its headers. The headers hold secrets, so there is no `Debug`.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    /// The address; a tool's has placeholders.
    pub(crate) url: String,
    /// The headers by name.
    pub(crate) headers: BTreeMap<String, String>,
}

/// What is to become of headers, by name: one with a value is set, one without is removed, others
/// stay. `Some(None)` removes all.
pub type HeaderChanges = Option<Option<BTreeMap<String, Option<SecretString>>>>;

/// An address, and what its client may see of the headers.
pub struct ShownPlace {
    /// The address; a tool's has placeholders.
    pub url: String,
    /// The names of the headers, each with the last characters of its value.
    pub headers: Vec<(String, String)>,
}

/// Why an endpoint is not changed as somebody wants it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeRefused {
    /// What is stored does not open here: the address has to be given with the headers.
    #[error("the stored address does not open here")]
    AddressRequired,
    /// A stored header would go to another host than the one it was given for.
    #[error("the headers must be given again with another host")]
    HeadersRequired,
}

/// Where a row of a client's database keeps its endpoint sealed.
pub(crate) const fn sealed_in(table: &'static str, instance: InstanceId, row: Uuid) -> SealPlace {
    SealPlace {
        instance,
        table,
        column: "sealed",
        row,
    }
}

impl Endpoint {
    /// A new one.
    pub(crate) fn new(url: Option<String>, headers: HeaderChanges) -> Self {
        let mut endpoint = Self {
            url: url.unwrap_or_default().trim().to_owned(),
            headers: BTreeMap::new(),
        };
        endpoint.change_headers(headers);
        endpoint
    }

    /// Opens what is stored at this place; `None`, and a line in the log, when it does not open.
    pub(crate) fn open(sealed: &[u8], place: &SealPlace, key: &DataKey) -> Option<Self> {
        let opened = key.open(place, sealed).and_then(|plain| {
            let endpoint = serde_json::from_slice(&plain);
            endpoint.map_err(|_| SealError::Malformed)
        });
        let SealPlace {
            instance,
            table,
            row,
            ..
        } = place;
        opened
            .inspect_err(|error| {
                tracing::error!(%instance, table, %row, %error, "an address and its headers do not open");
            })
            .ok()
    }

    /// Seals it for this place.
    pub(crate) fn seal(
        &self,
        place: &SealPlace,
        key: &DataKey,
        random: &Random,
    ) -> Result<Vec<u8>, SealError> {
        let plain = serde_json::to_vec(self).map_err(|_| SealError::Malformed)?;
        key.seal(place, &Zeroizing::new(plain), random)
    }

    /// What its client may see.
    pub(crate) fn shown(&self) -> ShownPlace {
        let headers = self.headers.iter();
        ShownPlace {
            url: self.url.clone(),
            headers: headers
                .map(|(name, value)| (name.clone(), hint(value)))
                .collect(),
        }
    }

    /// What changes make of a stored one. A stored header goes to no other host than the one it was
    /// given for: whoever changes the host gives the headers again, or removes them. `None` where what
    /// is stored does not open, and is to stay as it is.
    pub(crate) fn changed(
        stored: Option<Self>,
        url: Option<String>,
        headers: HeaderChanges,
    ) -> Result<Option<Self>, ChangeRefused> {
        if stored.is_none() && url.is_none() {
            return match headers {
                Some(_) => Err(ChangeRefused::AddressRequired),
                None => Ok(None),
            };
        }
        let mut endpoint = stored.unwrap_or_default();
        if let Some(url) = url {
            if endpoint.strands_a_header(url.trim(), &headers) {
                return Err(ChangeRefused::HeadersRequired);
            }
            url.trim().clone_into(&mut endpoint.url);
        }
        endpoint.change_headers(headers);
        Ok(Some(endpoint))
    }

    fn change_headers(&mut self, changes: HeaderChanges) {
        match changes {
            None => {}
            Some(None) => self.headers.clear(),
            Some(Some(headers)) => {
                for (name, value) in headers {
                    // A name is the same in upper and lower case.
                    self.headers
                        .retain(|known, _| !known.eq_ignore_ascii_case(&name));
                    if let Some(value) = value {
                        self.headers.insert(name, value.expose_secret().to_owned());
                    }
                }
            }
        }
    }

    /// Whether a stored header would go to another host than the one it was given for.
    fn strands_a_header(&self, url: &str, changes: &HeaderChanges) -> bool {
        if self.headers.is_empty() || is_same_origin(url, &self.url) {
            return false;
        }
        match changes {
            None => true,
            Some(None) => false,
            Some(Some(given)) => {
                let is_given = |name: &String| given.keys().any(|it| it.eq_ignore_ascii_case(name));
                !self.headers.keys().all(is_given)
            }
        }
    }
}

/// Whether two addresses lead to the same host in the same way. Placeholders stand behind the host.
fn is_same_origin(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => one.origin() == other.origin(),
        _ => false,
    }
}
