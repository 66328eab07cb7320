//! Up to the first word: the passages, the prompt, and the first model that answers.

use stoa_ai::{AiError, AnswerStream, ChatRequest, Turn, passages};
use stoa_domain::{AnswerPolicy, ApiConfigurationId, MessageRole, Provider};

use super::Writer;
use crate::chat::error::{nobody_configured, visitor_failure};
use crate::chat::event::{Event, Failure, Source};
use crate::chat::{prompt, retrieval};
use crate::contents::Model;
use crate::database::DatabaseError;

/// Who answers and where the words come from.
pub(super) struct Opened {
    pub(super) stream: AnswerStream,
    pub(super) by: Author,
}

/// Who answered, for the record.
#[derive(Clone, Default)]
pub(super) struct Author {
    pub(super) provider: Option<Provider>,
    pub(super) model: String,
    pub(super) configuration: Option<ApiConfigurationId>,
}

impl Author {
    fn of(model: &Model) -> Self {
        Self {
            provider: Some(model.endpoint.provider),
            model: model.model.clone(),
            configuration: Some(model.id),
        }
    }

    /// Whether the words come from the documents or the settings, which takes no tokens.
    pub(super) fn is_no_model(&self) -> bool {
        matches!(self.provider, None | Some(Provider::Passages))
    }
}

impl Writer {
    /// Finds the passages and asks for the first word.
    pub(super) async fn prepare(&self) -> Result<(Vec<Source>, Opened), Failure> {
        let sources = self.find_sources().await.map_err(|error| {
            tracing::warn!(code = error.code(), "retrieval failed");
            Failure {
                code: "database_unavailable",
                text: "The assistant cannot reach its documents right now. Please try again."
                    .into(),
                retryable: true,
            }
        })?;
        let opened = self.open(&sources).await?;
        Ok((sources, opened))
    }

    async fn find_sources(&self) -> Result<Vec<Source>, DatabaseError> {
        if !self.has_passages {
            return Ok(Vec::new());
        }
        let instructions = &self.contents.instructions;
        let top_k = u16::from(instructions.top_k);
        let hits = retrieval::find(
            &self.app,
            &self.contents,
            &self.registered,
            &self.question,
            top_k,
        )
        .await?;
        Ok(retrieval::sources(hits, instructions.min_score))
    }

    /// Asks the configured models in order until one says its first word.
    async fn open(&self, sources: &[Source]) -> Result<Opened, Failure> {
        if self.contents.models.is_empty() {
            return Err(nobody_configured());
        }
        let documents_only =
            self.contents.instructions.answer_policy == AnswerPolicy::DocumentsOnly;
        if sources.is_empty() && documents_only {
            let stream = passages::answer(&self.question, &[], &self.contents.no_answer_wording());
            return Ok(Opened {
                stream,
                by: Author::default(),
            });
        }
        let mut last = nobody_configured();
        for model in &self.contents.models {
            match self.ask(model, sources).await {
                Ok(stream) => {
                    return Ok(Opened {
                        stream,
                        by: Author::of(model),
                    });
                }
                Err(error) => {
                    tracing::warn!(
                        instance = %self.registered.id(),
                        configuration = %model.id,
                        code = error.code().as_str(),
                        detail = error.detail(),
                        "a model did not answer"
                    );
                    last = visitor_failure(&error);
                    if !error.falls_through() {
                        break;
                    }
                }
            }
        }
        Err(last)
    }

    async fn ask(&self, model: &Model, sources: &[Source]) -> Result<AnswerStream, AiError> {
        if model.endpoint.provider == Provider::Passages {
            let wording = self.contents.passages_wording();
            return Ok(passages::answer(
                &self.question,
                &quotable(sources),
                &wording,
            ));
        }
        self.app
            .ai()
            .stream(&model.endpoint, &self.request(model, sources))
            .await
    }

    fn request(&self, model: &Model, sources: &[Source]) -> ChatRequest {
        let name = self.registered.display_name(&self.contents.live);
        let fitting =
            prompt::fitting_history(self.history.iter().rev().map(|said| said.content.as_str()));
        let earlier = self.history[self.history.len() - fitting..]
            .iter()
            .map(|said| Turn {
                role: said.role,
                content: said.content.clone(),
            });
        let question = Turn {
            role: MessageRole::User,
            content: self.question.clone(),
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a temperature needs no more digits"
        )]
        ChatRequest {
            model: model.model.clone(),
            system: prompt::system_prompt(name, &self.contents.instructions, sources),
            messages: earlier.chain([question]).collect(),
            temperature: model.temperature.map(|temperature| temperature as f32),
            max_output_tokens: model
                .max_output_tokens
                .and_then(|tokens| u32::try_from(tokens).ok()),
        }
    }

    pub(super) fn preamble(&self, sources: &[Source]) -> Vec<Event> {
        let start = Event::Start {
            message: self.live.message(),
            session: self.live.session(),
            created_at: self.created_at,
        };
        let shown = sources
            .iter()
            .filter(|_| self.contents.live.display.show_sources);
        let mut events = vec![start];
        events.extend(shown.cloned().map(Event::Source));
        events.push(Event::TextStart);
        events
    }
}

fn quotable(sources: &[Source]) -> Vec<passages::Passage> {
    let numbered = sources.iter().enumerate();
    numbered
        .map(|(index, source)| passages::Passage {
            number: index + 1,
            text: source.text.clone(),
        })
        .collect()
}
