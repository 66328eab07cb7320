//! Vectors of texts for programs.

use std::sync::Arc;

use stoa_ai::EmbeddingRequest;
use stoa_ai::tokens::Vocabulary;
use stoa_domain::MessageId;
use stoa_platform_db::usage_events::UsageKind;

use super::running::about;
use super::{BOT, CompletionError, active};
use crate::App;
use crate::access::ClientCaller;
use crate::budgets::{self, NotEmbedded, Payer, Spender};
use crate::contents::Contents;

/// Vectors, in the order of their texts.
pub struct Vectors {
    /// The model that made them.
    pub model: String,
    /// One for each text, all of one length.
    pub vectors: Vec<Vec<f32>>,
    /// How many tokens the texts are; about, where the provider does not say.
    pub tokens: i64,
}

/// What is to be embedded.
pub struct Texts {
    /// The texts.
    pub texts: Vec<String>,
    /// How long their vectors are to be, where that is not left to the model.
    pub dimensions: Option<u32>,
}

/// The vocabulary that programs cut a text by before they ask for its vectors: that of OpenAI's
/// embedding models, which its libraries also take for models that they do not know.
const CUT_BY: Vocabulary = Vocabulary::Cl100k;

/// The texts that these tokens are; `None` where some are none of OpenAI's embedding models.
pub async fn texts_of(app: &App, tokens: Vec<Vec<u32>>) -> Option<Vec<String>> {
    let read = app.tasks().spawn_blocking(move || {
        if let Err(error) = CUT_BY.load() {
            tracing::error!(%error, "tokens of a program cannot be read");
        }
        tokens.iter().map(|it| CUT_BY.text(it)).collect()
    });
    read.await.ok().flatten()
}

/// Makes vectors of texts, by the named embedding model, or with the bot's name by the one that the
/// documents are searched with.
///
/// # Errors
/// When there is no such embedding model, the instance is not active, or the provider fails.
pub async fn embed(
    app: &Arc<App>,
    caller: &ClientCaller,
    model: &str,
    Texts { texts, dimensions }: &Texts,
) -> Result<Vectors, CompletionError> {
    active(caller)?;
    let contents = app.contents(caller.registered()).await?;
    let missing = match model {
        BOT => CompletionError::NoEmbeddings,
        _ => CompletionError::NoSuchModel,
    };
    let found = named(&contents, model).ok_or(missing)?;
    let _place = app
        .take_turn(caller.instance())
        .ok_or(CompletionError::Busy)?;
    app.note_activity(caller.instance()).await?;
    let event = (app.new_id(MessageId::generate), UsageKind::Embedding);
    let (registered, budgets) = (caller.registered(), &contents.budgets);
    let spender = Spender::new(app, registered, budgets, Payer::default(), event);
    let (endpoint, model) = found;
    let request = EmbeddingRequest {
        model,
        texts,
        dimensions: *dimensions,
    };
    let embedded = budgets::embed(app, &spender, endpoint, &request).await;
    let (vectors, tokens) = embedded.map_err(|error| match error {
        NotEmbedded::Refused(refused) => refused.into(),
        NotEmbedded::Provider(error) => {
            tracing::warn!(
                code = error.code().as_str(),
                detail = error.detail(),
                "texts of a program were not embedded"
            );
            CompletionError::Provider(error)
        }
    })?;
    spender.count(model.to_owned()).await;
    Ok(Vectors {
        model: model.to_owned(),
        vectors,
        tokens: tokens
            .and_then(|it| i64::try_from(it).ok())
            .unwrap_or_else(|| about(endpoint.provider, model, texts.iter().map(String::as_str))),
    })
}

fn named<'a>(contents: &'a Contents, name: &str) -> Option<(&'a stoa_ai::Endpoint, &'a str)> {
    if name == BOT {
        return contents.embedding_endpoint();
    }
    contents.models.iter().find_map(|model| {
        let embeds = model.embedding_model.as_deref()?;
        (embeds == name || model.name == name).then_some((&model.endpoint, embeds))
    })
}
