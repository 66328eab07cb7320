//! The list of models, which comes in pages and says what each can do.

use serde::Deserialize;
use url::Url;

use super::request::KEY;
use crate::error::AiError;
use crate::models::{ModelEntry, ModelKind, ModelPage};
use crate::provider::join;
use crate::request::Endpoint;
use crate::wire::Call;
use crate::wire::head::{accepted, headers};

/// The request for a page.
pub(crate) fn models_call(
    base: &Url,
    endpoint: &Endpoint,
    page: Option<&str>,
) -> Result<Call, AiError> {
    let mut url = join(base, &["models"]);
    url.query_pairs_mut().append_pair("pageSize", "1000");
    if let Some(token) = page {
        url.query_pairs_mut().append_pair("pageToken", token);
    }
    Ok(Call {
        url,
        headers: headers(endpoint, KEY, accepted(false))?,
        body: None,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    #[serde(default)]
    models: Vec<Model>,
    #[serde(default)]
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Model {
    name: String,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    input_token_limit: Option<u64>,
    #[serde(default)]
    output_token_limit: Option<u64>,
    #[serde(default)]
    supported_generation_methods: Vec<String>,
}

/// Reads a page, without models that neither write nor embed.
pub(crate) fn decode_models(body: &[u8]) -> Result<ModelPage, AiError> {
    let list: List = serde_json::from_slice(body)
        .map_err(|_| AiError::protocol("the list of models is not of Gemini's shape"))?;
    let models = list.models.into_iter().filter_map(|model| {
        let can = |method: &str| {
            let methods = &model.supported_generation_methods;
            methods.iter().any(|it| it == method)
        };
        let kind = match can("generateContent") {
            true => ModelKind::Chat,
            false => can("embedContent").then_some(ModelKind::Embedding)?,
        };
        let id = model.name.strip_prefix("models/").unwrap_or(&model.name);
        Some(ModelEntry {
            id: id.to_owned(),
            name: model.display_name,
            kind,
            context_window: model.input_token_limit,
            max_output_tokens: model.output_token_limit,
        })
    });
    Ok(ModelPage {
        models: models.collect(),
        next: list.next_page_token.filter(|it| !it.is_empty()),
    })
}
