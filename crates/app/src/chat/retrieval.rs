//! Finding the passages that an answer is drawn from.

use stoa_client_db::TextSearchConfiguration;
use stoa_client_db::search::{self, Hit, QueryEmbedding, SearchQuery};

use super::event::Source;
use super::prompt;
use crate::App;
use crate::contents::Contents;
use crate::database::DatabaseError;
use crate::registry::Registered;

/// How many characters of a question are searched for.
const QUESTION_CHARACTERS: usize = 2_000;

/// The passages for a question, best first, at most `top_k` of the instructions.
///
/// Without an embedding model, or when the provider does not embed, the search is by words alone:
/// a worse answer is better than none.
///
/// No connection is held while the question is embedded.
///
/// # Errors
/// When the client's database fails.
pub async fn find(
    app: &App,
    contents: &Contents,
    registered: &Registered,
    question: &str,
    top_k: u16,
) -> Result<Vec<Hit>, DatabaseError> {
    let question: String = question.chars().take(QUESTION_CHARACTERS).collect();
    let vector = embed(app, contents, registered, &question).await;
    let embedding = vector
        .as_ref()
        .map(|(model, vector)| QueryEmbedding { vector, model });
    let configuration = text_search(contents);
    let query = SearchQuery {
        text: &question,
        embedding,
        top_k,
        configuration,
    };
    let connection = app.checkout(registered).await?;
    Ok(search::hybrid(&connection, &query).await?)
}

/// The text search configuration of the instance's language.
#[must_use]
pub fn text_search(contents: &Contents) -> TextSearchConfiguration {
    TextSearchConfiguration::parse(contents.instructions.text_search_configuration())
        .unwrap_or(TextSearchConfiguration::SIMPLE)
}

async fn embed(
    app: &App,
    contents: &Contents,
    registered: &Registered,
    question: &str,
) -> Option<(String, Vec<f32>)> {
    registered.row().database.facts.pgvector.as_ref()?;
    let (endpoint, model) = contents.embedding_endpoint()?;
    match app
        .ai()
        .embed(endpoint, model, &[question.to_owned()])
        .await
    {
        Ok(vectors) => vectors
            .into_iter()
            .next()
            .map(|vector| (model.to_owned(), vector)),
        Err(error) => {
            tracing::warn!(
                code = error.code().as_str(),
                detail = error.detail(),
                "the question was not embedded"
            );
            None
        }
    }
}

/// Numbers the passages that are good enough and fit the budget.
#[must_use]
pub fn sources(hits: Vec<Hit>, min_score: f64) -> Vec<Source> {
    let hits: Vec<Hit> = hits
        .into_iter()
        .filter(|hit| hit.score >= min_score)
        .collect();
    if hits.is_empty() {
        return Vec::new();
    }
    let fitting = prompt::fitting_passages(hits.iter().map(|hit| hit.text.as_str()));
    let number = |(index, hit): (usize, Hit)| Source {
        source_id: (index + 1).to_string(),
        document_id: hit.document_id,
        title: title(&hit),
        media_type: hit.media_type,
        url: hit.url,
        text: hit.text,
    };
    hits.into_iter()
        .take(fitting)
        .enumerate()
        .map(number)
        .collect()
}

fn title(hit: &Hit) -> String {
    match hit
        .heading
        .as_deref()
        .filter(|heading| !heading.is_empty() && *heading != hit.title)
    {
        Some(heading) => format!("{} – {heading}", hit.title),
        None => hit.title.clone(),
    }
}
