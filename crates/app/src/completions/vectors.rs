//! Vectors of texts for programs.

use stoa_domain::MessageId;
use stoa_platform_db::usage_events::UsageKind;

use super::{BOT, CompletionError, active, running};
use crate::App;
use crate::access::ClientCaller;
use crate::contents::Contents;
use crate::meter::Metered;

/// Vectors, in the order of their texts.
pub struct Vectors {
    /// The model that made them.
    pub model: String,
    /// One for each text, all of one length.
    pub vectors: Vec<Vec<f32>>,
    /// About how many tokens the texts are.
    pub tokens: i64,
}

/// Makes vectors of texts, by the named embedding model, or with the bot's name by the one that the
/// documents are searched with.
///
/// # Errors
/// When there is no such embedding model, the instance is not active, or the provider fails.
pub async fn embed(
    app: &App,
    caller: &ClientCaller,
    model: &str,
    texts: &[String],
) -> Result<Vectors, CompletionError> {
    active(caller)?;
    let contents = app.contents(caller.registered()).await?;
    let found = endpoint(&contents, model).ok_or(CompletionError::NoSuchModel)?;
    let _place = app
        .take_turn(caller.instance())
        .ok_or(CompletionError::Busy)?;
    app.note_activity(caller.instance()).await?;
    let (endpoint, model) = found;
    let vectors = app
        .ai()
        .embed(endpoint, model, texts)
        .await
        .map_err(|error| {
            tracing::warn!(
                code = error.code().as_str(),
                detail = error.detail(),
                "texts of a program were not embedded"
            );
            CompletionError::Provider(error)
        })?;
    let metered = Metered {
        instance: caller.instance(),
        message: app.new_id(MessageId::generate),
        kind: UsageKind::Embedding,
        model: model.to_owned(),
        input_tokens: None,
        output_tokens: None,
        at: app.clock().now(),
    };
    if let Err(error) = app.meter().count(metered).await {
        tracing::error!(%error, "vectors were not metered");
    }
    Ok(Vectors {
        model: model.to_owned(),
        vectors,
        tokens: texts.iter().map(|text| running::about(text)).sum(),
    })
}

fn endpoint<'a>(contents: &'a Contents, name: &str) -> Option<(&'a stoa_ai::Endpoint, &'a str)> {
    if name == BOT {
        return contents.embedding_endpoint();
    }
    contents.models.iter().find_map(|model| {
        let embeds = model.embedding_model.as_deref()?;
        (embeds == name || model.name == name).then_some((&model.endpoint, embeds))
    })
}
