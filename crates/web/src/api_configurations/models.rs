//! The shapes of lists of models.

use serde::{Deserialize, Serialize};
use stoa_app::api_configurations::ListedModel;
use utoipa::{IntoParams, ToSchema};

use crate::http::problem::Problem;

/// Whether a list from the cache will do.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ModelsQuery {
    /// `true` asks the provider anew.
    #[param(value_type = Option<bool>)]
    refresh: Option<String>,
}

impl ModelsQuery {
    pub(super) fn refresh(&self) -> Result<bool, Problem> {
        match self.refresh.as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::invalid_field("refresh", "true or false")),
        }
    }
}

/// A model that can be chosen.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModelView {
    /// What to set as `model` or `embedding_model`.
    id: String,
    /// The provider's name of it for people.
    name: Option<String>,
    /// `chat`, `embedding`, or `unknown` where the provider does not say.
    kind: &'static str,
    /// How many tokens it reads and writes in all, where that is known.
    context_window: Option<u64>,
    /// How many tokens it writes at most, where that is known.
    max_output_tokens: Option<u64>,
    /// The list price of a million tokens read, in USD; null where it is not known.
    input_price: Option<f64>,
    /// The list price of a million tokens written, in USD; null where it is not known.
    output_price: Option<f64>,
}

impl From<ListedModel> for ModelView {
    fn from(model: ListedModel) -> Self {
        Self {
            id: model.id,
            name: model.name,
            kind: model.kind,
            context_window: model.context_window,
            max_output_tokens: model.max_output_tokens,
            input_price: model.input_price,
            output_price: model.output_price,
        }
    }
}
