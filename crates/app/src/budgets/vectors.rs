//! Embedding texts within the budgets.

use stoa_ai::{AiError, Endpoint, Usage};

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

/// The vectors of texts; what they take is the spender's.
///
/// # Errors
/// When a budget has no room for it, or the provider fails.
pub(crate) async fn embed(
    app: &App,
    spender: &Spender,
    (endpoint, model): (&Endpoint, &str),
    texts: &[String],
) -> Result<Vec<Vec<f32>>, NotEmbedded> {
    let bill = spender
        .reserve_embedding(endpoint.provider, model, texts)
        .await
        .map_err(NotEmbedded::Refused)?;
    embed_for(app, bill, (endpoint, model), texts)
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
    (endpoint, model): (&Endpoint, &str),
    texts: &[String],
) -> Result<Vec<Vec<f32>>, AiError> {
    match app.ai().embed_counted(endpoint, model, texts).await {
        Ok((vectors, tokens)) => {
            if let Some(input_tokens) = tokens {
                bill.says(Usage {
                    input_tokens,
                    output_tokens: 0,
                    cached_input_tokens: None,
                });
            }
            Ok(vectors)
        }
        Err(error) => {
            bill.failed(error.taken());
            Err(error)
        }
    }
}
