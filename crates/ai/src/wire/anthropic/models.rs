//! The list of models, which comes in pages. All of them chat.

use serde::Deserialize;
use url::Url;

use super::request::head;
use crate::error::AiError;
use crate::models::{ModelEntry, ModelKind, ModelPage};
use crate::provider::join;
use crate::request::Endpoint;
use crate::wire::Call;
use crate::wire::head::accepted;

/// The request for a page.
pub(crate) fn models_call(
    base: &Url,
    endpoint: &Endpoint,
    page: Option<&str>,
) -> Result<Call, AiError> {
    let mut url = join(base, &["models"]);
    url.query_pairs_mut().append_pair("limit", "1000");
    if let Some(last) = page {
        url.query_pairs_mut().append_pair("after_id", last);
    }
    Ok(Call {
        url,
        headers: head(endpoint, accepted(false))?,
        body: None,
    })
}

#[derive(Deserialize)]
struct List {
    data: Vec<Model>,
    #[serde(default)]
    has_more: bool,
    #[serde(default)]
    last_id: Option<String>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    #[serde(default)]
    display_name: Option<String>,
}

/// Reads a page.
pub(crate) fn decode_models(body: &[u8]) -> Result<ModelPage, AiError> {
    let list: List = serde_json::from_slice(body)
        .map_err(|_| AiError::protocol("the list of models is not of Anthropic's shape"))?;
    let models = list.data.into_iter().map(|model| ModelEntry {
        id: model.id,
        name: model.display_name,
        kind: ModelKind::Chat,
        context_window: None,
        max_output_tokens: None,
    });
    Ok(ModelPage {
        models: models.collect(),
        next: list.last_id.filter(|_| list.has_more),
    })
}
