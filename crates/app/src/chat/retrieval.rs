//! Finding the passages that an answer is drawn from.

use stoa_ai::EmbeddingRequest;
use stoa_client_db::TextSearchConfiguration;
use stoa_client_db::search::{self, Hit, QueryEmbedding, SearchQuery};

use super::event::Source;
use crate::App;
use crate::budgets::{self, NotEmbedded, Spender};
use crate::contents::Contents;
use crate::database::DatabaseError;
use crate::registry::Registered;

/// How many characters of a query are searched for.
const QUESTION_CHARACTERS: usize = 2_000;

/// The constant of reciprocal rank fusion, as in the search itself.
const RANK_CONSTANT: f64 = 60.0;

/// The passages for what is looked for, best first, at most `top_k`. Several queries are ways to ask
/// one thing; their results are fused by reciprocal rank.
///
/// Without an embedding model, when the provider does not embed, or when there is no budget for it,
/// the search is by words alone: a worse answer is better than none.
///
/// No connection is held while the queries are embedded.
///
/// # Errors
/// When the client's database fails.
pub(crate) async fn find(
    app: &App,
    (contents, registered): (&Contents, &Registered),
    spender: &Spender,
    queries: &[String],
    top_k: u16,
) -> Result<Vec<Hit>, DatabaseError> {
    let queries: Vec<String> = queries.iter().map(|query| bounded(query)).collect();
    let embedded = embed(app, (contents, registered), spender, &queries).await;
    let configuration = text_search(contents);
    let connection = app.checkout(registered).await?;
    let mut lists = Vec::with_capacity(queries.len());
    for (index, text) in queries.iter().enumerate() {
        let embedding = embedded.as_ref().and_then(|(model, vectors)| {
            let vector = vectors.get(index)?;
            Some(QueryEmbedding { vector, model })
        });
        let query = SearchQuery {
            text,
            embedding,
            top_k,
            configuration,
        };
        lists.push(search::hybrid(&connection, &query).await?);
    }
    Ok(fused(lists, usize::from(top_k)))
}

/// The end of a long query: a follow-up question stands after what it leans on.
fn bounded(query: &str) -> String {
    let more = query.chars().count().saturating_sub(QUESTION_CHARACTERS);
    query.chars().skip(more).collect()
}

/// Several lists as one, by reciprocal rank. A passage keeps its best score.
fn fused(mut lists: Vec<Vec<Hit>>, most: usize) -> Vec<Hit> {
    if lists.len() <= 1 {
        return lists.pop().unwrap_or_default();
    }
    let mut ranked: Vec<(f64, Hit)> = Vec::new();
    for list in lists {
        for (place, hit) in list.into_iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "a list has at most 50 passages")]
            let weight = 1.0 / (RANK_CONSTANT + place as f64 + 1.0);
            match ranked
                .iter_mut()
                .find(|(_, it)| it.chunk_id == hit.chunk_id)
            {
                Some((sum, known)) => {
                    *sum += weight;
                    known.score = known.score.max(hit.score);
                }
                None => ranked.push((weight, hit)),
            }
        }
    }
    // Stable: between equals the first query's order decides.
    ranked.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    ranked.into_iter().take(most).map(|(_, hit)| hit).collect()
}

/// The text search configuration of the instance's language.
#[must_use]
pub fn text_search(contents: &Contents) -> TextSearchConfiguration {
    TextSearchConfiguration::parse(contents.instructions.text_search_configuration())
        .unwrap_or(TextSearchConfiguration::SIMPLE)
}

async fn embed<'a>(
    app: &App,
    (contents, registered): (&'a Contents, &Registered),
    spender: &Spender,
    queries: &[String],
) -> Option<(&'a str, Vec<Vec<f32>>)> {
    registered.row().database.facts.pgvector.as_ref()?;
    let (endpoint, model) = contents.embedding_endpoint()?;
    let request = EmbeddingRequest {
        model,
        texts: queries,
        dimensions: None,
    };
    match budgets::embed(app, spender, endpoint, &request).await {
        Ok((vectors, _)) => Some((model, vectors)),
        Err(NotEmbedded::Refused(error)) => {
            tracing::debug!(%error, "the question was not embedded");
            None
        }
        Err(NotEmbedded::Provider(error)) => {
            tracing::warn!(
                code = error.code().as_str(),
                detail = error.detail(),
                "the question was not embedded"
            );
            None
        }
    }
}

/// Numbers the passages that are good enough.
#[must_use]
pub fn sources(hits: Vec<Hit>, min_score: f64) -> Vec<Source> {
    let good = hits.into_iter().filter(|hit| hit.score >= min_score);
    let number = |(index, hit): (usize, Hit)| Source {
        source_id: (index + 1).to_string(),
        document_id: hit.document_id,
        title: title(&hit.title, hit.heading.as_deref().unwrap_or_default()),
        media_type: hit.media_type,
        url: hit.url,
        text: hit.text,
        used: true,
    };
    good.enumerate().map(number).collect()
}

/// A document's title with the headings above the passage.
fn title(document: &str, heading: &str) -> String {
    // A document that begins with its title has it above every other heading.
    let below = match heading.strip_prefix(document) {
        Some("") => "",
        Some(rest) => rest.strip_prefix(" > ").unwrap_or(heading),
        None => heading,
    };
    match below {
        "" => document.to_owned(),
        below => format!("{document} – {below}"),
    }
}

#[cfg(test)]
mod tests {
    use super::title;

    #[test]
    fn a_passage_is_named_by_its_document_and_what_stands_above_it() {
        for (heading, named) in [
            ("", "Tent care"),
            ("Tent care", "Tent care"),
            ("Tent care > Storing", "Tent care – Storing"),
            ("Storing", "Tent care – Storing"),
            ("Tent careful", "Tent care – Tent careful"),
        ] {
            assert_eq!(title("Tent care", heading), named);
        }
    }
}
