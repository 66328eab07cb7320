//! The table of providers: which wire format each speaks, and where.

use stoa_domain::Provider;
use url::Url;

use crate::error::{AiError, AiErrorCode};
use crate::request::Endpoint;
use crate::wire::openai_chat::{Addresses, Dialect, OutputLimit, ToolWords};
use crate::wire::{Wire, anthropic};

/// What is known of a provider.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Profile {
    /// Where its API is unless the configuration says otherwise.
    pub(crate) base_url: Option<&'static str>,
    /// How it is spoken to.
    pub(crate) wire: Wire,
    /// Whether it has embeddings.
    pub(crate) embeddings: bool,
}

/// What most servers that copied OpenAI's chat completions understand.
const COMMON: Dialect = Dialect {
    output_limit: OutputLimit::MaxTokens,
    asks_for_usage: true,
    addresses: Addresses::Openai,
    tools: ToolWords::Openai,
    knows_one_call: true,
    knows_temperature: true,
    wants_thoughts: false,
};

/// The profile of `provider`; `None` for the one that is no network call.
///
/// The addresses are those of the providers' API references. Adding a provider of a format that is
/// here is a row; adding a format is a file in `wire` and a variant of [`Wire`].
pub(crate) fn profile(provider: Provider) -> Option<Profile> {
    let row = |base_url, dialect, embeddings| {
        Some(Profile {
            base_url,
            wire: Wire::OpenaiChat(dialect),
            embeddings,
        })
    };
    match provider {
        // Its reasoning models refuse the older `max_tokens`; all its models take the newer name.
        Provider::Openai => row(
            Some("https://api.openai.com/v1"),
            Dialect {
                output_limit: OutputLimit::MaxCompletionTokens,
                ..COMMON
            },
            true,
        ),
        Provider::OpenaiCompatible => row(None, COMMON, true),
        Provider::Ollama => row(Some("http://127.0.0.1:11434/v1"), COMMON, true),
        // Reports usage without being asked and refuses fields that it does not know.
        Provider::Mistral => row(
            Some("https://api.mistral.ai/v1"),
            Dialect {
                asks_for_usage: false,
                tools: ToolWords::Mistral,
                ..COMMON
            },
            true,
        ),
        Provider::Openrouter => row(Some("https://openrouter.ai/api/v1"), COMMON, true),
        // Both call the older name deprecated.
        Provider::Groq => row(
            Some("https://api.groq.com/openai/v1"),
            Dialect {
                output_limit: OutputLimit::MaxCompletionTokens,
                ..COMMON
            },
            true,
        ),
        Provider::Xai => row(
            Some("https://api.x.ai/v1"),
            Dialect {
                output_limit: OutputLimit::MaxCompletionTokens,
                ..COMMON
            },
            false,
        ),
        Provider::Deepseek => row(
            Some("https://api.deepseek.com"),
            Dialect {
                wants_thoughts: true,
                ..COMMON
            },
            false,
        ),
        // Every resource has an address of its own.
        Provider::AzureOpenai => row(
            None,
            Dialect {
                output_limit: OutputLimit::MaxCompletionTokens,
                addresses: Addresses::Azure,
                ..COMMON
            },
            true,
        ),
        Provider::Anthropic => Some(Profile {
            base_url: Some("https://api.anthropic.com/v1"),
            wire: Wire::Anthropic(anthropic::Dialect::default()),
            embeddings: false,
        }),
        Provider::Gemini => Some(Profile {
            base_url: Some("https://generativelanguage.googleapis.com/v1beta"),
            wire: Wire::Gemini,
            embeddings: true,
        }),
        Provider::Passages => None,
    }
}

/// Where the API of `provider` is unless a configuration says otherwise.
#[must_use]
pub fn default_base_url(provider: Provider) -> Option<&'static str> {
    profile(provider).and_then(|it| it.base_url)
}

impl Profile {
    /// The profile for a call that streams or completes a chat.
    pub(crate) fn of(provider: Provider) -> Result<Self, AiError> {
        profile(provider).ok_or_else(|| AiError::unsupported(provider, "chat over the network"))
    }

    /// The endpoint's own base URL, or the provider's.
    pub(crate) fn base_url(&self, endpoint: &Endpoint) -> Result<Url, AiError> {
        if let Some(url) = &endpoint.base_url {
            return checked(url.clone());
        }
        let default = self.base_url.ok_or_else(|| {
            let detail = format!("{} needs a base URL", endpoint.provider);
            AiError::new(AiErrorCode::Rejected, detail)
        })?;
        Url::parse(default).map_err(|_| AiError::protocol("the default base URL is malformed"))
    }
}

/// Refuses what cannot be the base of a request, before anything is sent.
fn checked(url: Url) -> Result<Url, AiError> {
    if url.cannot_be_a_base() || url.host_str().is_none() {
        return Err(AiError::new(
            AiErrorCode::Rejected,
            "the base URL has no host",
        ));
    }
    Ok(url)
}

/// `base` with `path` appended as the official client libraries do it, and made forgiving: no
/// double slash, and a base that already ends in the path of a call for an answer is understood.
pub(crate) fn join(base: &Url, path: &[&str]) -> Url {
    let mut url = base.clone();
    let trimmed = url.path().trim_end_matches('/').to_owned();
    let trimmed = ["/chat/completions", "/messages"]
        .iter()
        .find_map(|call| trimmed.strip_suffix(call))
        .unwrap_or(&trimmed);
    url.set_path(trimmed);
    url.set_fragment(None);
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(base: &str) -> String {
        join(&Url::parse(base).unwrap(), &["chat", "completions"]).to_string()
    }

    #[test]
    fn a_base_url_is_joined_as_the_official_clients_do() {
        for (base, full) in [
            (
                "https://api.openai.com/v1",
                "https://api.openai.com/v1/chat/completions",
            ),
            (
                "https://api.openai.com/v1/",
                "https://api.openai.com/v1/chat/completions",
            ),
            ("https://h//", "https://h/chat/completions"),
            (
                "https://api.deepseek.com",
                "https://api.deepseek.com/chat/completions",
            ),
            (
                "https://h:8443/a/b/v1",
                "https://h:8443/a/b/v1/chat/completions",
            ),
            (
                "https://h/v1/chat/completions",
                "https://h/v1/chat/completions",
            ),
            (
                "https://h/v1/chat/completions/",
                "https://h/v1/chat/completions",
            ),
            (
                "https://h/v1?api-version=2",
                "https://h/v1/chat/completions?api-version=2",
            ),
            ("https://h/v1#top", "https://h/v1/chat/completions"),
        ] {
            assert_eq!(joined(base), full, "{base}");
        }
    }

    #[test]
    fn every_default_address_parses_and_every_provider_is_decided() {
        for provider in Provider::ALL {
            match default_base_url(*provider) {
                Some(address) => assert!(Url::parse(address).is_ok(), "{address}"),
                None => assert!(matches!(
                    provider,
                    Provider::OpenaiCompatible | Provider::AzureOpenai | Provider::Passages
                )),
            }
        }
    }
}
