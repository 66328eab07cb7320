//! A provider's models.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::client::Ai;
use crate::error::AiError;
use crate::provider::Profile;
use crate::request::Endpoint;
use crate::transport;

/// More models than this are not listed.
const MOST_MODELS: usize = 2_000;

/// More pages than this are not asked for, whatever a server says follows.
const MOST_PAGES: usize = 10;

/// A longer name is no model's.
const NAME_CHARS: usize = 200;

/// A model, as its provider lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelEntry {
    /// What to ask for.
    pub id: String,
    /// The provider's name of it for people.
    pub name: Option<String>,
    /// What it is for.
    pub kind: ModelKind,
    /// How many tokens it reads, if the provider says.
    pub context_window: Option<u64>,
    /// How many tokens it writes at most, if the provider says.
    pub max_output_tokens: Option<u64>,
}

/// What a model is for. Those of which the provider says that they are for something else, such as
/// images, are not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// It answers.
    Chat,
    /// It embeds.
    Embedding,
    /// The provider does not say.
    Unknown,
}

impl ModelKind {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embedding => "embedding",
            Self::Unknown => "unknown",
        }
    }
}

/// A part of a list of models.
#[derive(Debug)]
pub(crate) struct ModelPage {
    pub(crate) models: Vec<ModelEntry>,
    /// By what the next page is asked for.
    pub(crate) next: Option<String>,
}

impl Ai {
    /// The models that the key may use, as the provider lists them. Also the cheapest way to learn
    /// whether a server is there.
    ///
    /// # Errors
    ///
    /// As [`Ai::stream`].
    pub async fn models(&self, endpoint: &Endpoint) -> Result<Vec<ModelEntry>, AiError> {
        let deadline = Instant::now() + self.limits().single_reply;
        let profile = Profile::of(endpoint.provider)?;
        let mut models = Vec::new();
        let mut page: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let reply = self
                .call(endpoint, &profile, deadline, |wire, base| {
                    wire.models_call(base, endpoint, page.as_deref())
                })
                .await?;
            let most = self.limits().reply_bytes;
            let body = transport::read_whole(reply.response, most, deadline).await?;
            let read = reply.wire.models(&body)?;
            models.extend(read.models.into_iter().filter(ModelEntry::is_sound));
            if read.next.is_none() || read.next == page || models.len() >= MOST_MODELS {
                break;
            }
            page = read.next;
        }
        models.truncate(MOST_MODELS);
        Ok(models)
    }
}

impl ModelEntry {
    fn is_sound(&self) -> bool {
        let fits = |text: &str| text.chars().count() <= NAME_CHARS && !text.contains('\0');
        !self.id.is_empty() && fits(&self.id) && self.name.as_deref().is_none_or(fits)
    }
}
