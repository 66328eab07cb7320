//! AI configurations as the console shows them.

use stoa_app::api_configurations::{ListedModel, Shown, Trial, known_models};
use stoa_domain::Provider;

use super::super::budgets::{price, source_label};

/// A configuration in the list.
pub(super) struct ModelRow {
    pub(super) name: String,
    pub(super) href: String,
    pub(super) provider: &'static str,
    pub(super) model: String,
    /// Of tokens read and written; `None` where it is unknown.
    pub(super) price: Option<(String, String)>,
    /// Who says the price.
    pub(super) source: &'static str,
    /// The last characters of its key; empty without one.
    pub(super) key_hint: String,
    pub(super) tested: String,
    pub(super) state: &'static str,
    pub(super) state_label: String,
}

impl ModelRow {
    pub(super) fn of(shown: &Shown, models: &str) -> Self {
        let settings = &shown.stored.settings;
        let (cost, source) = &shown.price;
        let (state, state_label) = state(shown);
        Self {
            name: settings.name.clone(),
            href: format!("{models}/{}", shown.stored.id),
            provider: provider_label(settings.provider),
            model: settings.model.clone(),
            price: cost.map(|it| (price(it.input), price(it.output))),
            source: source_label(*source),
            key_hint: settings.key_hint.clone().unwrap_or_default(),
            tested: tested(shown),
            state,
            state_label,
        }
    }
}

/// How a configuration stands.
pub(super) fn state(shown: &Shown) -> (&'static str, String) {
    let settings = &shown.stored.settings;
    if shown.needs_key {
        return ("failed", "Needs its key again".to_owned());
    }
    if !settings.enabled {
        return ("off", "Off".to_owned());
    }
    if let Some(code) = shown.resting {
        return ("warning", format!("Not asked for now ({})", code.as_str()));
    }
    match shown.stored.test_ok {
        Some(true) => ("ready", "On".to_owned()),
        Some(false) => ("failed", "Test failed".to_owned()),
        None => ("warning", "Not tested".to_owned()),
    }
}

/// When it was last tested as it is now, and how that went.
pub(super) fn tested(shown: &Shown) -> String {
    let stored = &shown.stored;
    let Some(at) = stored.tested_at else {
        return "not tested".to_owned();
    };
    let at = at.format("%-d %b %Y, %H:%M UTC");
    match &stored.test_error {
        Some(code) => format!("failed ({code}), {at}"),
        None => format!("worked, {at}"),
    }
}

/// How a test went.
pub(super) struct TrialView {
    pub(super) ok: bool,
    pub(super) sentence: String,
}

impl From<Trial> for TrialView {
    fn from(trial: Trial) -> Self {
        let (model, took) = (&trial.model, trial.took.as_millis());
        Self {
            ok: trial.failure.is_none(),
            sentence: match &trial.failure {
                None => format!("{model} answered in {took} ms."),
                Some(failure) => {
                    format!(
                        "{model}, after {took} ms ({}): {}",
                        failure.code, failure.message
                    )
                }
            },
        }
    }
}

/// A model that can be chosen.
pub(super) struct Choice {
    pub(super) id: String,
    /// What it is, beside its name.
    pub(super) label: String,
}

/// Models to choose from.
pub(super) struct Choices {
    pub(super) answering: Vec<Choice>,
    pub(super) embedding: Vec<Choice>,
}

impl Choices {
    /// Those that the price table knows.
    pub(super) fn known() -> Self {
        let all = known_models().map(|(provider, model)| Choice {
            id: model.to_owned(),
            label: provider_label(provider).to_owned(),
        });
        let (embedding, answering) = all.partition(|it| it.id.contains("embed"));
        Self {
            answering,
            embedding,
        }
    }

    /// Those that a provider lists. What it says of no kind may be for either.
    pub(super) fn listed(listed: &[ListedModel]) -> Self {
        let of = |not: &str| {
            let fits = listed.iter().filter(|it| it.kind != not);
            fits.map(Choice::of).collect()
        };
        Self {
            answering: of("embedding"),
            embedding: of("chat"),
        }
    }
}

impl Choice {
    fn of(listed: &ListedModel) -> Self {
        let window = listed.context_window.map(|it| format!("{it} tokens"));
        let price = match (listed.input_price, listed.output_price) {
            (Some(input), Some(output)) => Some(format!("USD {input} / {output}")),
            _ => None,
        };
        let parts = [listed.name.clone(), window, price];
        Self {
            id: listed.id.clone(),
            label: parts.into_iter().flatten().collect::<Vec<_>>().join(", "),
        }
    }
}

/// A provider's name for people.
pub(super) const fn provider_label(provider: Provider) -> &'static str {
    match provider {
        Provider::Openai => "OpenAI",
        Provider::Anthropic => "Anthropic",
        Provider::Gemini => "Google Gemini",
        Provider::Mistral => "Mistral",
        Provider::Groq => "Groq",
        Provider::Deepseek => "DeepSeek",
        Provider::Xai => "xAI",
        Provider::Openrouter => "OpenRouter",
        Provider::AzureOpenai => "Azure OpenAI",
        Provider::Ollama => "Ollama",
        Provider::OpenaiCompatible => "OpenAI-compatible server",
        Provider::Passages => "No model: quotes documents",
    }
}
