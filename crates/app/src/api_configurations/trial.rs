//! Asking a provider for a few words, to see whether a configuration works.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stoa_ai::{AiError, ChatRequest, EmbeddingRequest, Endpoint, Message};
use stoa_client_db::api_configurations;
use stoa_domain::{ApiConfigurationId, Budgets, MessageId, MessageRole, Provider};
use stoa_platform_db::usage_events::UsageKind;

use super::{ApiConfiguration, ApiConfigurationError, is_ready, note_ready};
use crate::App;
use crate::access::ClientCaller;
use crate::budgets::{Payer, Spender, embed_for, of_configuration};
use crate::contents::open_endpoint;

/// Enough to see that words come.
const TOKENS: u32 = 5;

/// How a test went.
pub struct Trial {
    /// How long it took.
    pub took: Duration,
    /// The model that answered, by the provider's account where it gives one.
    pub model: String,
    /// Why it failed, if it did.
    pub failure: Option<TrialFailure>,
}

/// Why a configuration does not work.
pub struct TrialFailure {
    /// A stable word.
    pub code: &'static str,
    /// A sentence, with what the provider said: for the client's eyes, never for a log.
    pub message: String,
}

/// Without the message, which is not for logs.
impl fmt::Debug for TrialFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrialFailure")
            .field("code", &self.code)
            .finish_non_exhaustive()
    }
}

/// Tests a configuration by a small call, and notes the result. An instance whose first
/// configuration passes becomes active if its database is ready.
///
/// # Errors
/// When there is none with this id, or a database fails. That the provider fails, or that the stored
/// key does not open, is a result, not an error.
pub async fn test(
    app: &Arc<App>,
    caller: &ClientCaller,
    id: ApiConfigurationId,
) -> Result<Trial, ApiConfigurationError> {
    let found = {
        let connection = app.checkout(caller.registered()).await?;
        api_configurations::find(&connection, id).await?
    };
    let stored = found.ok_or(ApiConfigurationError::NotFound)?;
    let started = Instant::now();
    let outcome = match open_endpoint(&stored, caller.instance(), caller.registered().key()) {
        Ok(endpoint) => {
            let spender = spender(app, caller);
            let asked = ask(app, &endpoint, &stored, &spender).await;
            spender.settle().await;
            asked.map_err(|error| told(&error))
        }
        Err(error) => {
            tracing::warn!(instance = %caller.instance(), configuration = %id, %error, "an AI configuration's secret does not open");
            Err(key_needed())
        }
    };
    let took = started.elapsed();
    let (model, failure) = match outcome {
        Ok(model) => (model, None),
        Err(failure) => (stored.settings.model.clone(), Some(failure)),
    };
    let code = failure.as_ref().map(|it| it.code);
    let tested = ApiConfiguration {
        test_ok: Some(code.is_none()),
        ..stored
    };
    let connection = app.checkout(caller.registered()).await?;
    let now = app.clock().now();
    let noted =
        api_configurations::record_test(&connection, id, tested.updated_at, code, now).await?;
    drop(connection);
    // What was changed or removed meanwhile is not what passed.
    if noted && is_ready(&tested) {
        note_ready(app, caller).await?;
    }
    Ok(Trial {
        took,
        model,
        failure,
    })
}

/// Who pays: the instance, whose budgets count a test and do not stand against it. It is no answer, and
/// nobody is billed for it.
fn spender(app: &Arc<App>, caller: &ClientCaller) -> Spender {
    let event = (app.new_id(MessageId::generate), UsageKind::Completion);
    let (nobody, unlimited) = (Payer::default(), Budgets::default());
    Spender::new(app, caller.registered(), &unlimited, nobody, event)
}

/// The model that answered.
async fn ask(
    app: &App,
    endpoint: &Endpoint,
    stored: &ApiConfiguration,
    spender: &Spender,
) -> Result<String, AiError> {
    let settings = &stored.settings;
    if settings.provider == Provider::Passages {
        return Ok(settings.model.clone());
    }
    let limit = settings
        .max_output_tokens
        .and_then(|it| u32::try_from(it).ok());
    let request = ChatRequest {
        model: settings.model.clone(),
        system: String::new(),
        messages: vec![Message::said(MessageRole::User, "Say OK.")],
        temperature: settings.temperature.map(as_f32),
        max_output_tokens: Some(limit.map_or(TOKENS, |it| it.min(TOKENS))),
        ..ChatRequest::default()
    };
    let price = of_configuration(settings).0;
    let mut bill = spender.unlimited((settings.provider, price), &request);
    let completion = match app.ai().complete(endpoint, &request).await {
        Ok(completion) => completion,
        Err(error) => {
            bill.failed(error.taken());
            return Err(error);
        }
    };
    bill.came(&completion.text);
    completion.usage.iter().for_each(|usage| bill.says(*usage));
    drop(bill);
    if let Some(model) = &settings.embedding_model {
        // Two, since what is refused is vectors of different lengths.
        let texts = ["OK".to_owned(), "A longer text than that.".to_owned()];
        let bill = spender.unlimited_embedding(settings.provider, model, &texts);
        let request = EmbeddingRequest {
            model,
            texts: &texts,
            dimensions: None,
        };
        embed_for(app, bill, endpoint, &request).await?;
    }
    Ok(completion.model.unwrap_or(request.model))
}

/// The key was sealed elsewhere: by another deployment that this database was moved from, or for
/// another place.
fn key_needed() -> TrialFailure {
    TrialFailure {
        code: "key_needed",
        message: "The stored key does not open here. Give the key again, and the address with it where there is one."
            .into(),
    }
}

pub(super) fn told(error: &AiError) -> TrialFailure {
    let sentence = error.to_string();
    TrialFailure {
        code: error.code().as_str(),
        message: match error.provider_message() {
            Some(said) => format!("{sentence}: {said}"),
            None => sentence,
        },
    }
}

/// A temperature is 0 to 2 with a few decimals.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the rounding of a temperature means nothing"
)]
fn as_f32(value: f64) -> f32 {
    value as f32
}
