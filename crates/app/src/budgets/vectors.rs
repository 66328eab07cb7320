//! Embedding texts within the budgets.

use stoa_ai::{AiError, EmbeddingRequest, Endpoint, Usage};

use super::bill::Bill;
use super::spender::{Refused, Spender};
use crate::App;

/// Why texts were not embedded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotEmbedded {
    /// A budget stands against it.
    #[error("a budget stands against it")]
    Refused(#[source] Refused),
    /// The provider failed.
    #[error("the provider failed")]
    Provider(#[source] AiError),
}

/// Vectors, and how many tokens their texts are by the provider's count, if it gives one.
pub(crate) type Embedded = (Vec<Vec<f32>>, Option<u64>);

/// The vectors of texts; what they take is the spender's.
///
/// # Errors
/// When a budget has no room for it, or the provider fails.
pub(crate) async fn embed(
    app: &App,
    spender: &Spender,
    endpoint: &Endpoint,
    request: &EmbeddingRequest<'_>,
) -> Result<Embedded, NotEmbedded> {
    let bill = spender
        .reserve_embedding(endpoint.provider, request.model, request.texts)
        .await
        .map_err(NotEmbedded::Refused)?;
    embed_for(app, bill, endpoint, request)
        .await
        .map_err(NotEmbedded::Provider)
}

/// The vectors of texts, on this bill.
///
/// # Errors
/// When the provider fails.
pub(crate) async fn embed_for(
    app: &App,
    mut bill: Bill,
    endpoint: &Endpoint,
    request: &EmbeddingRequest<'_>,
) -> Result<Embedded, AiError> {
    match app.ai().embed_counted(endpoint, request).await {
        Ok((vectors, tokens)) => {
            if let Some(input_tokens) = tokens {
                bill.says(Usage {
                    input_tokens,
                    output_tokens: 0,
                    cached_input_tokens: None,
                });
            }
            Ok((vectors, tokens))
        }
        Err(error) => {
            bill.failed(error.taken());
            Err(error)
        }
    }
}
