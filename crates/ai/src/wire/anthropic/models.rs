//! The list of models, which comes in pages. All of them chat, but for those that are retired.

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
    #[serde(default)]
    max_input_tokens: Option<u64>,
    #[serde(default)]
    max_tokens: Option<u64>,
    #[serde(default)]
    lifecycle: Option<String>,
}

/// Reads a page.
pub(crate) fn decode_models(body: &[u8]) -> Result<ModelPage, AiError> {
    let list: List = serde_json::from_slice(body)
        .map_err(|_| AiError::protocol("the list of models is not of Anthropic's shape"))?;
    let is_served = |model: &Model| model.lifecycle.as_deref() != Some("retired");
    let models = list.data.into_iter().filter(is_served);
    let models = models.map(|model| ModelEntry {
        id: model.id,
        name: model.display_name,
        kind: ModelKind::Chat,
        context_window: model.max_input_tokens,
        max_output_tokens: model.max_tokens,
    });
    Ok(ModelPage {
        models: models.collect(),
        next: list.last_id.filter(|_| list.has_more),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_what_models_read_and_leaves_out_the_retired() {
        // anthropic 2.14.0 for Python, `ModelInfo`.
        let page = decode_models(
            br#"{"data":[
                {"type":"model","id":"claude-a","display_name":"Claude A","created_at":"2026-01-01T00:00:00Z","lifecycle":"active","max_input_tokens":1000000,"max_tokens":128000,"capabilities":null},
                {"type":"model","id":"claude-b","display_name":"Claude B","created_at":"2024-01-01T00:00:00Z","lifecycle":"retired"}],
                "first_id":"claude-a","has_more":true,"last_id":"claude-b"}"#,
        )
        .unwrap();
        assert_eq!(page.next.as_deref(), Some("claude-b"));
        let [model] = &page.models[..] else {
            panic!("one model: {page:?}");
        };
        assert_eq!(
            (
                model.id.as_str(),
                model.context_window,
                model.max_output_tokens
            ),
            ("claude-a", Some(1_000_000), Some(128_000))
        );
    }
}
