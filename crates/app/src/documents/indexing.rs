//! The job that makes a document searchable: read, split, embed, replace its passages.

use std::sync::Arc;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use stoa_ai::EmbeddingRequest;
use stoa_client_db::chunks::{self, NewChunk, NewChunks};
use stoa_client_db::documents::{self, Document};
use stoa_client_db::{ClientDbError, PageRequest};
use stoa_domain::{ChunkId, DocumentId, DocumentStatus, InstanceId, JobId, MessageId};
use stoa_knowledge::{
    ExtractError, Kind, Limits, Passage, Prepared, SplitSettings, prepare_in_child,
};
use stoa_platform_db::DbError;
use stoa_platform_db::jobs::{self, Job, NewJob};
use stoa_platform_db::usage_events::UsageKind;

use crate::App;
use crate::budgets::{self, NotEmbedded, Payer, Refused, Spender};
use crate::chat::retrieval;
use crate::contents::Contents;
use crate::database::DatabaseError;
use crate::registry::Registered;
use crate::work::JobError;

/// The kind of these jobs.
pub const KIND: &str = "index_document";

const MAX_ATTEMPTS: i32 = 8;
/// A document that has not moved for so long may have lost its job.
const LOST_AFTER: TimeDelta = TimeDelta::minutes(2);

#[derive(Serialize, Deserialize)]
struct Payload {
    document: DocumentId,
    generation: i64,
}

/// Queues the indexing of one generation of a document; once, however often it is asked for.
pub(crate) async fn enqueue(
    app: &App,
    instance: InstanceId,
    document: DocumentId,
    generation: i64,
) -> Result<(), DbError> {
    let now = app.clock().now();
    let job = NewJob {
        id: app.new_id(JobId::generate),
        kind: KIND.into(),
        instance: Some(instance),
        unique_key: format!("{document}:{generation}"),
        payload: serde_json::json!({ "document": document, "generation": generation }),
        run_at: now,
        priority: 0,
        max_attempts: MAX_ATTEMPTS,
        created_at: now,
    };
    let mut connection = app.platform().acquire().await?;
    jobs::enqueue(&mut connection, &job).await?;
    app.wake_workers();
    Ok(())
}

/// Queues what a crash left without a job.
pub(crate) async fn requeue_lost(app: &App, registered: &Registered) -> Result<(), DatabaseError> {
    let before = app.clock().now() - LOST_AFTER;
    let page = PageRequest {
        limit: 200,
        after: None,
    };
    for status in [
        DocumentStatus::Queued,
        DocumentStatus::Extracting,
        DocumentStatus::Embedding,
    ] {
        let unfinished = {
            let connection = app.checkout(registered).await?;
            documents::list(&connection, Some(status), &page).await?
        };
        for document in unfinished
            .data
            .into_iter()
            .filter(|document| document.updated_at < before)
        {
            if let Err(error) =
                enqueue(app, registered.id(), document.id, document.generation).await
            {
                tracing::error!(%error, "a document's indexing could not be queued again");
            }
        }
    }
    Ok(())
}

/// What stands between a document and its passages.
enum Obstacle {
    /// Trying again may help.
    Passing(String),
    /// The document is at fault, or a setting that somebody must change; said to the client.
    Lasting(String),
    /// The document is gone, or a newer job has the say.
    Moot,
}

impl From<DatabaseError> for Obstacle {
    fn from(error: DatabaseError) -> Self {
        Self::Passing(format!("the client's database failed ({})", error.code()))
    }
}

impl From<ClientDbError> for Obstacle {
    fn from(error: ClientDbError) -> Self {
        DatabaseError::from(error).into()
    }
}

impl From<ExtractError> for Obstacle {
    fn from(error: ExtractError) -> Self {
        let said = error.to_string();
        if error.retryable() {
            Self::Passing(said)
        } else {
            Self::Lasting(said)
        }
    }
}

/// Does the job.
pub(crate) async fn perform(app: &Arc<App>, job: &Job) -> Result<(), JobError> {
    let hopeless = |what: &str| JobError::Hopeless(what.to_owned());
    let payload: Payload = serde_json::from_value(job.payload.clone())
        .map_err(|_| hopeless("the payload is not understood"))?;
    let instance = job
        .instance
        .ok_or_else(|| hopeless("the job names no instance"))?;
    let registered = app
        .registered(instance)
        .await
        .map_err(|error| JobError::Retry(error.to_string()))?;
    let Some(registered) = registered else {
        return Ok(());
    };
    let indexing = Indexing {
        app,
        registered: &registered,
        payload: &payload,
    };
    match indexing.run().await {
        Ok(()) | Err(Obstacle::Moot) => Ok(()),
        Err(Obstacle::Passing(why)) if job.attempt < job.max_attempts => Err(JobError::Retry(why)),
        Err(Obstacle::Passing(why) | Obstacle::Lasting(why)) => indexing.give_up(&why).await,
    }
}

/// One run over one generation of one document.
struct Indexing<'a> {
    app: &'a Arc<App>,
    registered: &'a Arc<Registered>,
    payload: &'a Payload,
}

impl Indexing<'_> {
    async fn run(&self) -> Result<(), Obstacle> {
        let (document, bytes) = self.read().await?;
        let prepared = self.prepare(&document, &bytes).await?;
        let contents = self.app.contents(self.registered).await?;
        let vectors = self.embed(&contents, &prepared.passages).await?;
        self.replace(&contents, &prepared.passages, vectors).await
    }

    async fn read(&self) -> Result<(Document, Vec<u8>), Obstacle> {
        let connection = self.app.checkout(self.registered).await?;
        let document = documents::find(&connection, self.payload.document)
            .await?
            .ok_or(Obstacle::Moot)?;
        let content = documents::content(&connection, document.id)
            .await?
            .ok_or(Obstacle::Moot)?;
        drop(connection);
        self.move_to(DocumentStatus::Extracting, None).await?;
        let bytes = content.content.ok_or_else(|| {
            Obstacle::Lasting("The document's original bytes are not there.".into())
        })?;
        Ok((document, bytes))
    }

    async fn prepare(&self, document: &Document, bytes: &[u8]) -> Result<Prepared, Obstacle> {
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| kind.media_type() == document.media_type)
            .ok_or_else(|| {
                Obstacle::Lasting(format!(
                    "Documents of the type {} are not read.",
                    document.media_type
                ))
            })?;
        let program = &self.app.settings().extractor;
        let (split, limits) = (SplitSettings::default(), Limits::default());
        Ok(prepare_in_child(program, kind, bytes, &split, &limits).await?)
    }

    /// The passages' vectors and the model that made them, or `None` where nothing embeds.
    async fn embed(
        &self,
        contents: &Contents,
        passages: &[Passage],
    ) -> Result<Option<(String, Vec<Vec<f32>>)>, Obstacle> {
        let Some((endpoint, model)) = contents.embedding_endpoint() else {
            return Ok(None);
        };
        if !self.app.checkout(self.registered).await?.has_vectors() {
            return Ok(None);
        }
        self.move_to(DocumentStatus::Embedding, None).await?;
        let texts: Vec<String> = passages.iter().map(embedded_text).collect();
        let event = (self.app.new_id(MessageId::generate), UsageKind::Embedding);
        let (payer, budgets) = (Payer::default(), &contents.budgets);
        let spender = Spender::new(self.app, self.registered, budgets, payer, event);
        let request = EmbeddingRequest {
            model,
            texts: &texts,
            dimensions: None,
        };
        match budgets::embed(self.app, &spender, endpoint, &request).await {
            Ok((vectors, _)) => {
                spender.count(model.to_owned()).await;
                Ok(Some((model.to_owned(), vectors)))
            }
            Err(NotEmbedded::Refused(refused)) => Err(no_budget(refused)),
            Err(NotEmbedded::Provider(error)) => {
                let said = format!("The passages could not be embedded: {error}.");
                Err(if error.retryable() {
                    Obstacle::Passing(said)
                } else {
                    Obstacle::Lasting(said)
                })
            }
        }
    }

    async fn replace(
        &self,
        contents: &Contents,
        passages: &[Passage],
        vectors: Option<(String, Vec<Vec<f32>>)>,
    ) -> Result<(), Obstacle> {
        let headings: Vec<String> = passages.iter().map(Passage::heading_path).collect();
        let (model, vectors) = vectors.map_or((None, Vec::new()), |(model, vectors)| {
            (Some(model), vectors)
        });
        let chunks: Vec<NewChunk<'_>> = passages
            .iter()
            .zip(&headings)
            .enumerate()
            .map(|(index, (passage, heading))| NewChunk {
                id: self.app.new_id(ChunkId::generate),
                ordinal: i32::try_from(passage.ordinal).unwrap_or(i32::MAX),
                heading: Some(heading.as_str()).filter(|heading| !heading.is_empty()),
                text: &passage.text,
                token_count: i32::try_from(passage.token_count).unwrap_or(i32::MAX),
                embedding: vectors.get(index).map(Vec::as_slice),
            })
            .collect();
        let new = NewChunks {
            document: self.payload.document,
            generation: self.payload.generation,
            chunks: &chunks,
            embedding_model: model.as_deref(),
            configuration: retrieval::text_search(contents),
            now: self.app.clock().now(),
        };
        let mut connection = self.app.checkout(self.registered).await?;
        if chunks::replace_all(&mut connection, &new).await? {
            Ok(())
        } else {
            Err(Obstacle::Moot)
        }
    }

    async fn move_to(&self, status: DocumentStatus, error: Option<&str>) -> Result<(), Obstacle> {
        let Payload {
            document,
            generation,
        } = *self.payload;
        let connection = self.app.checkout(self.registered).await?;
        let now = self.app.clock().now();
        let moved =
            documents::set_status(&connection, document, generation, status, error, now).await?;
        if moved { Ok(()) } else { Err(Obstacle::Moot) }
    }

    /// The document could not be indexed; it says why, and the job is done with it.
    async fn give_up(&self, why: &str) -> Result<(), JobError> {
        match self.move_to(DocumentStatus::Failed, Some(why)).await {
            Ok(()) | Err(Obstacle::Moot) => Ok(()),
            Err(Obstacle::Passing(why) | Obstacle::Lasting(why)) => Err(JobError::Retry(why)),
        }
    }
}

/// What is said of a document whose passages there is no budget to embed.
fn no_budget(refused: Refused) -> Obstacle {
    match refused {
        Refused::Exhausted(exhausted) => Obstacle::Lasting(format!(
            "The budget for AI is exhausted until {}. Index the document again then, or raise the budget.",
            exhausted.resets_at.format("%Y-%m-%d %H:%M UTC")
        )),
        Refused::UnknownPrice => Obstacle::Lasting(
            "A budget limits money, and the price of the embedding model is not known. Limit tokens instead, or choose a model with a known price."
                .into(),
        ),
        Refused::Ledger(error) => {
            Obstacle::Passing(format!("The budgets could not be looked up: {error}."))
        }
    }
}

/// A passage is embedded with the headings above it, which often hold the words of the question.
fn embedded_text(passage: &Passage) -> String {
    match passage.heading_path() {
        path if path.is_empty() => passage.text.clone(),
        path => format!("{path}\n{}", passage.text),
    }
}
