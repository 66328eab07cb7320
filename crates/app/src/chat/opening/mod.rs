//! Up to the first word: the passages, the prompt, and the first model that answers. The same for a
//! visitor's question and for a program that calls the API.

mod draft;
mod inquiry;
mod results;

use stoa_ai::{AiError, AiErrorCode, ChatRequest, passages};
use stoa_domain::{AnswerPolicy, ApiConfigurationId, Provider};
use stoa_platform_db::DbError;

use super::event::Source;
use super::small_talk::{self, SmallTalk};
use super::{follow_up, retrieval, turns};
use crate::App;
use crate::budgets::{Exhausted, PaidStream, Refused, Spender};
use crate::contents::{Contents, Model};
use crate::database::DatabaseError;
use crate::registry::Registered;
use draft::{Draft, Size};
pub use inquiry::Offer;
pub(crate) use inquiry::{Inquiry, Sampling};

/// An answer that has begun.
pub(crate) struct Opened {
    /// The words.
    pub(crate) stream: PaidStream,
    /// Where they come from.
    pub(crate) origin: Origin,
}

/// Where an answer's words come from.
#[derive(Clone, Default)]
pub(crate) struct Origin {
    /// Who wrote them.
    pub(crate) by: Author,
    /// The passages that they may cite.
    pub(crate) sources: Vec<Source>,
    /// What they answer.
    pub(crate) to: AnswerTo,
    /// How many of the earlier messages the model was given, the latest ones.
    pub(crate) kept: usize,
    /// Whether tools gave something that it may be drawn from.
    pub(crate) used_tools: bool,
}

impl Origin {
    /// Who is asked to go on: whoever was asked before, and the others only while nothing has been
    /// said.
    pub(crate) fn next_models<'a>(
        &self,
        contents: &'a Contents,
        has_spoken: bool,
    ) -> Vec<&'a Model> {
        let is_asked = |model: &&Model| Some(model.id) == self.by.configuration;
        let models = contents.models.iter();
        let asked = models.clone().filter(is_asked);
        let others = models.filter(|model| !is_asked(model));
        match has_spoken {
            true => asked.collect(),
            false => asked.chain(others).collect(),
        }
    }
}

/// What an answer is to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AnswerTo {
    /// A question, by a model.
    #[default]
    Question,
    /// A question about which the documents have nothing, where only they may answer.
    NothingFound,
    /// A greeting, thanks or a farewell.
    SmallTalk,
    /// Anything, when a budget stands against asking a model.
    NoBudget(Stop),
}

/// What stands against asking a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A budget is exhausted.
    Exhausted(Exhausted),
    /// Money is limited, and the price of no model that could be asked is known.
    UnknownPrice,
}

/// Who answered, for the record.
#[derive(Clone, Default)]
pub(crate) struct Author {
    pub(crate) provider: Option<Provider>,
    pub(crate) model: String,
    pub(crate) configuration: Option<ApiConfigurationId>,
}

impl Author {
    pub(crate) fn of(model: &Model) -> Self {
        Self {
            provider: Some(model.endpoint.provider),
            model: model.model.clone(),
            configuration: Some(model.id),
        }
    }

    /// Whether the words come from the documents or the settings, which takes no tokens.
    pub(crate) fn is_no_model(&self) -> bool {
        matches!(self.provider, None | Some(Provider::Passages))
    }
}

/// Why there is no first word.
#[derive(Debug, thiserror::Error)]
pub enum NotOpened {
    /// The client's database could not be searched.
    #[error("the documents could not be searched")]
    Retrieval(#[from] DatabaseError),
    /// No AI configuration is enabled.
    #[error("no AI configuration is enabled")]
    Nobody,
    /// The last model that was asked did not answer.
    #[error("no model answered")]
    Model(#[source] AiError),
    /// A budget stands against asking one.
    #[error("a budget stands against asking a model")]
    NoBudget(Stop),
    /// What is left of the budgets could not be looked up.
    #[error("the budgets could not be looked up")]
    Ledger(#[source] DbError),
}

/// Why one model was not asked, or did not answer.
pub(crate) enum Unasked {
    /// It did not answer.
    Model(AiError),
    /// A budget stands against it.
    Refused(Refused),
}

impl From<AiError> for Unasked {
    fn from(error: AiError) -> Self {
        Self::Model(error)
    }
}

impl From<Refused> for Unasked {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// Opens one answer.
pub(crate) struct Opener<'a> {
    pub(crate) app: &'a App,
    pub(crate) registered: &'a Registered,
    pub(crate) contents: &'a Contents,
    pub(crate) inquiry: &'a Inquiry,
    pub(crate) spender: &'a Spender,
}

impl Opener<'_> {
    /// Finds the passages and asks these models, in order, until one says its first word.
    ///
    /// # Errors
    /// Why none did.
    pub(crate) async fn open(&self, models: &[&Model]) -> Result<Opened, NotOpened> {
        let talk = small_talk::recognise(&self.inquiry.question, self.bot_name());
        let found = match talk {
            Some(_) => Vec::new(),
            None => self.find_passages().await?,
        };
        if models.is_empty() {
            return Err(NotOpened::Nobody);
        }
        let only = self.contents.instructions.answer_policy == AnswerPolicy::DocumentsOnly;
        if only && found.is_empty() && talk.is_none() && !self.may_call(models) {
            return Ok(self.nothing_found());
        }
        self.first_of(models, &found, talk.as_ref()).await
    }

    /// Asks these models, in order, for what comes after calls of tools, with the passages that the
    /// answer has.
    ///
    /// # Errors
    /// Why none went on.
    pub(crate) async fn go_on(
        &self,
        models: &[&Model],
        sources: &[Source],
    ) -> Result<Opened, NotOpened> {
        self.first_of(models, sources, None).await
    }

    /// Whether the answer may come from tools: where they are, and somebody to call them.
    fn may_call(&self, models: &[&Model]) -> bool {
        let is_model = |model: &&Model| model.endpoint.provider != Provider::Passages;
        self.inquiry.has_tools() && models.iter().any(is_model)
    }

    async fn first_of(
        &self,
        models: &[&Model],
        found: &[Source],
        talk: Option<&SmallTalk>,
    ) -> Result<Opened, NotOpened> {
        let mut last = NotOpened::Nobody;
        for model in models {
            match self.ask(model, found, talk).await {
                Ok(opened) => return Ok(opened),
                Err(error) => last = last.after(error, self.registered, model)?,
            }
        }
        Err(last)
    }

    async fn find_passages(&self) -> Result<Vec<Source>, DatabaseError> {
        if !self.inquiry.has_passages {
            return Ok(Vec::new());
        }
        let earlier = self.inquiry.earlier.iter().rev();
        let asked = earlier
            .filter(|turn| turns::is_question(turn))
            .map(turns::words);
        let queries = follow_up::queries(&self.inquiry.question, asked);
        let instructions = &self.contents.instructions;
        let top_k = u16::from(instructions.top_k);
        let place = (self.contents, self.registered);
        let hits = retrieval::find(self.app, place, self.spender, &queries, top_k);
        Ok(retrieval::sources(hits.await?, instructions.min_score))
    }

    fn nothing_found(&self) -> Opened {
        let wording = self.contents.no_answer_wording();
        Opened {
            stream: PaidStream::free(passages::answer(&self.inquiry.question, &[], &wording)),
            origin: Origin {
                to: AnswerTo::NothingFound,
                kept: self.inquiry.earlier.len(),
                ..Origin::default()
            },
        }
    }

    /// Asks one model; once more with less where it finds the prompt too long.
    async fn ask(
        &self,
        model: &Model,
        found: &[Source],
        talk: Option<&SmallTalk>,
    ) -> Result<Opened, Unasked> {
        if model.endpoint.provider == Provider::Passages {
            return Ok(self.quote(model, found, talk));
        }
        let draft = self.draft(model, found, talk.is_some(), Size::Usual);
        let error = match self.send(model, &draft).await {
            Ok(stream) => return Ok(begun(model, &draft, found, talk, stream)),
            Err(Unasked::Model(error)) => error,
            Err(refused) => return Err(refused),
        };
        let smaller = self.draft(model, found, talk.is_some(), draft.less());
        if error.code() != AiErrorCode::ContextTooLong || !smaller.is_smaller_than(&draft) {
            return Err(error.into());
        }
        let stream = self.send(model, &smaller).await?;
        Ok(begun(model, &smaller, found, talk, stream))
    }

    async fn send(&self, model: &Model, draft: &Draft) -> Result<PaidStream, Unasked> {
        send(self.app, self.spender, model, &draft.request).await
    }

    /// The answer of a bot without a model.
    fn quote(&self, model: &Model, found: &[Source], talk: Option<&SmallTalk>) -> Opened {
        let question = &self.inquiry.question;
        let stream = match talk {
            Some(talk) => {
                let wording = passages::Wording {
                    introduction: String::new(),
                    no_model: String::new(),
                    nothing_found: talk.reply(self.inquiry.known.locale.as_deref()).to_owned(),
                };
                passages::answer(question, &[], &wording)
            }
            None => {
                let locale = self.inquiry.known.locale.as_deref();
                let wording = self.contents.passages_wording(locale);
                passages::answer(question, &quotable(found), &wording)
            }
        };
        Opened {
            stream: PaidStream::free(stream),
            origin: Origin {
                by: Author::of(model),
                sources: found.to_vec(),
                to: answer_to(talk),
                kept: self.inquiry.earlier.len(),
                used_tools: false,
            },
        }
    }

    fn bot_name(&self) -> &str {
        self.registered.display_name(&self.contents.live)
    }
}

/// Asks one model, if the budgets have room for it.
///
/// # Errors
/// When they have none, or it does not answer.
pub(crate) async fn send(
    app: &App,
    spender: &Spender,
    model: &Model,
    request: &ChatRequest,
) -> Result<PaidStream, Unasked> {
    let bill = spender.reserve(model, request).await?;
    match app.ai().stream(&model.endpoint, request).await {
        Ok(stream) => Ok(PaidStream::new(stream, bill)),
        Err(error) => {
            bill.failed(error.taken());
            Err(error.into())
        }
    }
}

impl NotOpened {
    /// What stands in the way after one more model was not asked or did not answer, where another
    /// may be.
    ///
    /// # Errors
    /// Where no other is to be asked.
    pub(crate) fn after(
        self,
        error: Unasked,
        registered: &Registered,
        model: &Model,
    ) -> Result<Self, Self> {
        let (instance, configuration) = (registered.id(), model.id);
        match error {
            Unasked::Model(error) => {
                tracing::warn!(
                    %instance, %configuration, code = error.code().as_str(), detail = error.detail(),
                    "a model did not answer"
                );
                let falls_through = error.falls_through();
                let now = Self::Model(error);
                if falls_through { Ok(now) } else { Err(now) }
            }
            Unasked::Refused(Refused::UnknownPrice) => {
                tracing::warn!(
                    %instance, %configuration, code = "ai_price_unknown",
                    "a model is not asked: its price is unknown, and a budget limits money"
                );
                // What a model said that was asked says more.
                Ok(match self {
                    Self::Nobody => Self::NoBudget(Stop::UnknownPrice),
                    earlier => earlier,
                })
            }
            Unasked::Refused(Refused::Exhausted(exhausted)) => {
                Err(Self::NoBudget(Stop::Exhausted(exhausted)))
            }
            Unasked::Refused(Refused::Ledger(error)) => Err(Self::Ledger(error)),
        }
    }
}

fn begun(
    model: &Model,
    draft: &Draft,
    found: &[Source],
    talk: Option<&SmallTalk>,
    stream: PaidStream,
) -> Opened {
    Opened {
        stream,
        origin: Origin {
            by: Author::of(model),
            sources: found[..draft.passages].to_vec(),
            to: answer_to(talk),
            kept: draft.kept,
            used_tools: false,
        },
    }
}

const fn answer_to(talk: Option<&SmallTalk>) -> AnswerTo {
    match talk {
        Some(_) => AnswerTo::SmallTalk,
        None => AnswerTo::Question,
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
