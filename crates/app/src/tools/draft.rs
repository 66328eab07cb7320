//! What a person sets about a tool, before it is stored: changed field by field, then examined.

use serde_json::{Value, json};
use stoa_client_db::tools::ToolSettings;
use stoa_domain::seal::SealError;
use stoa_domain::{ToolEffect, ToolMethod, Violation};
use stoa_tools::http::{Description, HttpTool};

use super::ToolError;
use super::endpoint::{ChangeRefused, Endpoint, HeaderChanges};

/// How long a call may take unless the client says otherwise.
const USUAL_TIMEOUT_MS: i32 = 10_000;

/// What is to be different. `None` leaves a field as it is.
#[derive(Default)]
pub struct Changes {
    /// What the model calls it.
    pub name: Option<String>,
    /// What the model is told of it.
    pub description: Option<String>,
    /// The JSON schema of its arguments.
    pub parameters: Option<Value>,
    /// How it is called.
    pub method: Option<ToolMethod>,
    /// The address with its placeholders.
    pub url: Option<String>,
    /// What is to become of the headers.
    pub headers: HeaderChanges,
    /// Whether a call changes something. `Some(None)` for what is usual with the method.
    pub effect: Option<Option<ToolEffect>>,
    /// How long a call may take, in milliseconds.
    pub timeout_ms: Option<i32>,
    /// Whether the model is told of it at all.
    pub enabled: Option<bool>,
}

/// A tool as it is to be stored, but for the sealing.
pub(super) struct Draft {
    description: Description,
    enabled: bool,
    pub(super) kept: Kept,
}

/// What becomes of the address and the headers.
pub(super) enum Kept {
    /// They are sealed anew.
    Endpoint,
    /// They do not open here, and stay sealed as they are.
    Sealed(Vec<u8>),
}

impl Draft {
    /// A new tool.
    pub(super) fn new(mut fields: Changes) -> Self {
        let Endpoint { url, headers } = Endpoint::new(fields.url.take(), fields.headers.take());
        let method = fields.method.unwrap_or(ToolMethod::Get);
        let mut draft = Self {
            description: Description {
                name: String::new(),
                description: String::new(),
                method,
                effect: method.usual_effect(),
                url,
                headers,
                parameters: json!({}),
                timeout_ms: USUAL_TIMEOUT_MS,
            },
            enabled: true,
            kept: Kept::Endpoint,
        };
        draft.apply(fields);
        draft
    }

    /// A stored tool with changes.
    pub(super) fn of(
        stored: ToolSettings,
        endpoint: Option<Endpoint>,
        mut changes: Changes,
    ) -> Result<Self, ToolError> {
        let (url, headers) = (changes.url.take(), changes.headers.take());
        let (kept, endpoint) = match Endpoint::changed(endpoint, url, headers)? {
            Some(endpoint) => (Kept::Endpoint, endpoint),
            None => (Kept::Sealed(stored.sealed), unknown()),
        };
        let mut draft = Self {
            description: Description {
                name: stored.name,
                description: stored.description,
                method: stored.method,
                effect: stored.effect,
                url: endpoint.url,
                headers: endpoint.headers,
                parameters: stored.parameters,
                timeout_ms: stored.timeout_ms,
            },
            enabled: stored.enabled,
            kept,
        };
        draft.apply(changes);
        Ok(draft)
    }

    /// Sets everything but the address and the headers.
    fn apply(&mut self, changes: Changes) {
        let to = &mut self.description;
        set(&mut to.name, changes.name);
        set(&mut to.description, changes.description);
        set(&mut to.parameters, changes.parameters);
        set(&mut to.timeout_ms, changes.timeout_ms);
        set(&mut self.enabled, changes.enabled);
        if let Some(method) = changes.method {
            to.method = method;
            // With another method a tool that only read may write; one that wrote is not taken for
            // one that only reads unless somebody says so.
            if method.usual_effect() == ToolEffect::Write {
                to.effect = ToolEffect::Write;
            }
        }
        if let Some(effect) = changes.effect {
            to.effect = effect.unwrap_or(to.method.usual_effect());
        }
    }

    /// The tool that it is.
    pub(super) fn examined(&self) -> Result<HttpTool, Vec<Violation>> {
        HttpTool::parse(self.description.clone())
    }

    /// What is stored of it.
    pub(super) fn settings(
        self,
        seal: impl FnOnce(&Endpoint) -> Result<Vec<u8>, SealError>,
    ) -> Result<ToolSettings, SealError> {
        let Description {
            name,
            description,
            method,
            effect,
            url,
            headers,
            parameters,
            timeout_ms,
        } = self.description;
        let sealed = match self.kept {
            Kept::Sealed(sealed) => sealed,
            Kept::Endpoint => seal(&Endpoint { url, headers })?,
        };
        Ok(ToolSettings {
            name,
            description,
            parameters,
            method,
            effect,
            timeout_ms,
            enabled: self.enabled,
            sealed,
        })
    }
}

/// What stands for an address that does not open.
fn unknown() -> Endpoint {
    Endpoint::new(Some("https://unknown.invalid/".to_owned()), None)
}

impl From<ChangeRefused> for ToolError {
    fn from(refused: ChangeRefused) -> Self {
        match refused {
            ChangeRefused::AddressRequired => Self::Invalid(vec![Violation {
                field: "url".into(),
                message: "the stored address does not open here: give it again with the headers"
                    .into(),
            }]),
            ChangeRefused::HeadersRequired => Self::HeadersRequired,
        }
    }
}

fn set<T>(field: &mut T, change: Option<T>) {
    if let Some(change) = change {
        *field = change;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use secrecy::SecretString;

    use super::*;

    fn stored() -> (ToolSettings, Option<Endpoint>) {
        let settings = ToolSettings {
            name: "find_order".into(),
            description: "Finds an order.".into(),
            parameters: json!({}),
            method: ToolMethod::Get,
            effect: ToolEffect::Read,
            timeout_ms: 5_000,
            enabled: true,
            sealed: vec![7],
        };
        let endpoint = Endpoint {
            url: "https://a.example.com/orders".into(),
            headers: BTreeMap::from([
                ("Authorization".into(), "Bearer one".into()),
                ("X-Two".into(), "two".into()),
            ]),
        };
        (settings, Some(endpoint))
    }

    fn headers(given: &[(&str, Option<&str>)]) -> HeaderChanges {
        let given = given.iter().map(|(name, value)| {
            let value = value.map(|it| SecretString::from(it.to_owned()));
            ((*name).to_owned(), value)
        });
        Some(Some(given.collect()))
    }

    /// The headers of the stored tool after changes, or `None` where they are refused.
    fn headers_after(changes: Changes) -> Option<Vec<(String, String)>> {
        let (settings, endpoint) = stored();
        let draft = Draft::of(settings, endpoint, changes).ok()?;
        Some(draft.description.headers.into_iter().collect())
    }

    #[test]
    fn a_stored_header_goes_to_no_other_host() {
        let to = |url: &str, headers| Changes {
            url: Some(url.into()),
            headers,
            ..Changes::default()
        };
        let one = || headers(&[("authorization", Some("Bearer new"))]);
        let both = || headers(&[("authorization", Some("Bearer new")), ("x-two", None)]);
        for elsewhere in [
            "https://b.example.com/orders",
            "http://a.example.com/orders",
            "https://a.example.com:8443/orders",
            "https://a.example.com.evil.example/orders",
            "not an address",
        ] {
            assert_eq!(headers_after(to(elsewhere, None)), None, "{elsewhere}");
            assert_eq!(headers_after(to(elsewhere, one())), None, "{elsewhere}");
            let given = headers_after(to(elsewhere, both())).unwrap();
            assert_eq!(given, [("authorization".into(), "Bearer new".into())]);
            assert_eq!(headers_after(to(elsewhere, Some(None))).unwrap(), []);
        }
        let same = to("https://A.example.com:443/other/{id}", None);
        assert_eq!(headers_after(same).unwrap().len(), 2);
    }

    #[test]
    fn headers_are_changed_one_by_one() {
        let change = |given| Changes {
            headers: given,
            ..Changes::default()
        };
        let after = headers_after(change(headers(&[
            ("x-two", Some("2")),
            ("X-Three", Some("3")),
        ])));
        let names: Vec<String> = after.unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["Authorization", "X-Three", "x-two"]);
        let after = headers_after(change(headers(&[("X-TWO", None), ("X-None", None)])));
        assert_eq!(after.unwrap().len(), 1);
    }

    #[test]
    fn a_tool_that_writes_is_not_taken_for_one_that_reads() {
        let after = |method, effect| {
            let (mut settings, endpoint) = stored();
            settings.effect = ToolEffect::Write;
            let changes = Changes {
                method,
                effect,
                ..Changes::default()
            };
            let draft = Draft::of(settings, endpoint, changes).ok().unwrap();
            draft.description.effect
        };
        assert_eq!(after(Some(ToolMethod::Get), None), ToolEffect::Write);
        assert_eq!(after(Some(ToolMethod::Get), Some(None)), ToolEffect::Read);
        let read = Some(Some(ToolEffect::Read));
        assert_eq!(after(Some(ToolMethod::Post), read), ToolEffect::Read);
        assert_eq!(after(Some(ToolMethod::Post), None), ToolEffect::Write);
    }

    #[test]
    fn what_does_not_open_can_be_renamed_and_is_kept_sealed() {
        let (settings, _) = stored();
        let renamed = Changes {
            name: Some("renamed".into()),
            ..Changes::default()
        };
        let draft = Draft::of(settings.clone(), None, renamed).ok().unwrap();
        assert!(draft.examined().is_ok());
        let kept = draft.settings(|_| panic!("nothing is sealed")).unwrap();
        assert_eq!((kept.name.as_str(), kept.sealed), ("renamed", vec![7]));

        let headers = headers(&[("X-Key", Some("new"))]);
        let alone = Changes {
            headers: headers.clone(),
            ..Changes::default()
        };
        assert!(matches!(
            Draft::of(settings.clone(), None, alone),
            Err(ToolError::Invalid(_))
        ));
        let whole = Changes {
            url: Some("https://b.example.com/".into()),
            headers,
            ..Changes::default()
        };
        let draft = Draft::of(settings, None, whole).ok().unwrap();
        let resealed = draft.settings(|endpoint| Ok(endpoint.url.clone().into_bytes()));
        assert_eq!(resealed.unwrap().sealed, b"https://b.example.com/");
    }
}
