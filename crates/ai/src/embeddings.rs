//! Vectors of texts, in batches.

use tokio::time::Instant;

use crate::client::Ai;
use crate::error::{AiError, AiErrorCode};
use crate::provider::Profile;
use crate::request::Endpoint;
use crate::transport;

/// The most texts in one request: within what every provider takes, and soon answered by a model
/// on a CPU.
const BATCH_TEXTS: usize = 64;

/// The most bytes of text in one request; a single longer text goes alone.
const BATCH_BYTES: usize = 128 << 10;

/// Texts of which vectors are asked for.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddingRequest<'a> {
    /// The embedding model.
    pub model: &'a str,
    /// The texts.
    pub texts: &'a [String],
    /// How long the vectors are to be, where that is not left to the model.
    pub dimensions: Option<u32>,
}

/// Vectors, and how many tokens their texts are, if the provider says.
pub(crate) struct Vectors {
    pub(crate) vectors: Vec<Vec<f32>>,
    pub(crate) tokens: Option<u64>,
}

impl Ai {
    /// The vectors of `texts`, in their order and all of one length. Each batch has
    /// [`crate::Limits::single_reply`] of time. What has failed again and again is not asked for a
    /// while, as with [`Ai::stream`]: a question is then looked for by its words, and at once.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the provider has no embeddings; `Protocol` when the vectors do not
    /// match the texts, differ in length, or hold what is no number; and as [`Ai::stream`].
    pub async fn embed(
        &self,
        endpoint: &Endpoint,
        model: &str,
        texts: &[String],
    ) -> Result<Vec<Vec<f32>>, AiError> {
        let request = EmbeddingRequest {
            model,
            texts,
            dimensions: None,
        };
        let (vectors, _) = self.embed_counted(endpoint, &request).await?;
        Ok(vectors)
    }

    /// The same, with how many tokens the texts are by the provider's count; `None` where it gives
    /// none.
    ///
    /// # Errors
    ///
    /// As [`Ai::embed`], and `Rejected` when the vectors are of another length than was asked for.
    pub async fn embed_counted(
        &self,
        endpoint: &Endpoint,
        request: &EmbeddingRequest<'_>,
    ) -> Result<(Vec<Vec<f32>>, Option<u64>), AiError> {
        let unsupported = || AiError::unsupported(endpoint.provider, "embeddings");
        let profile = Profile::of(endpoint.provider).map_err(|_| unsupported())?;
        if !profile.embeddings {
            return Err(unsupported());
        }
        let permit = self
            .breakers()
            .enter(endpoint, request.model, Instant::now())?;
        let embedded = self.embed_batches(endpoint, &profile, request).await;
        permit.settle(embedded.as_ref().err(), Instant::now());
        let Vectors { vectors, tokens } = embedded?;
        Ok((checked(vectors, request.dimensions)?, tokens))
    }

    async fn embed_batches(
        &self,
        endpoint: &Endpoint,
        profile: &Profile,
        request: &EmbeddingRequest<'_>,
    ) -> Result<Vectors, AiError> {
        let mut all = Vectors {
            vectors: Vec::with_capacity(request.texts.len()),
            tokens: Some(0),
        };
        for texts in batches(request.texts) {
            let batch = EmbeddingRequest { texts, ..*request };
            let deadline = Instant::now() + self.limits().single_reply;
            let reply = self
                .call(endpoint, profile, deadline, |wire, base| {
                    wire.embeddings_call(base, endpoint, &batch)
                })
                .await?;
            let most = self.limits().reply_bytes;
            let body = transport::read_whole(reply.response, most, deadline).await?;
            let more = reply.wire.embeddings(&body, texts.len())?;
            all.vectors.extend(more.vectors);
            let sum = |(so_far, more): (u64, u64)| so_far.checked_add(more);
            all.tokens = all.tokens.zip(more.tokens).and_then(sum);
        }
        Ok(all)
    }
}

fn checked(vectors: Vec<Vec<f32>>, asked: Option<u32>) -> Result<Vec<Vec<f32>>, AiError> {
    let length = vectors.first().map_or(0, Vec::len);
    // A server that does not know the field passes over it.
    if asked.is_some_and(|asked| u32::try_from(length) != Ok(asked) && !vectors.is_empty()) {
        return Err(AiError::new(
            AiErrorCode::Rejected,
            "the vectors are of another length than was asked for",
        ));
    }
    let sound = |it: &Vec<f32>| !it.is_empty() && it.len() == length;
    if !vectors.iter().all(sound) {
        return Err(AiError::new(
            AiErrorCode::Protocol,
            "the embeddings are missing or differ in length",
        ));
    }
    if !vectors.iter().flatten().all(|it| it.is_finite()) {
        return Err(AiError::protocol("an embedding holds what is no number"));
    }
    Ok(vectors)
}

/// `texts` in runs that respect both bounds.
fn batches(texts: &[String]) -> impl Iterator<Item = &[String]> {
    let mut rest = texts;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |text: &&String| {
            bytes += text.len();
            bytes <= BATCH_BYTES
        };
        let count = rest.iter().take(BATCH_TEXTS).take_while(fits).count();
        let (batch, after) = rest.split_at(count.max(1).min(rest.len()));
        rest = after;
        (!batch.is_empty()).then_some(batch)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_keep_order_and_bounds_and_lose_nothing() {
        let mut texts: Vec<String> = (0..150).map(|it| it.to_string()).collect();
        texts.insert(10, "x".repeat(BATCH_BYTES + 1));
        texts.insert(12, "y".repeat(BATCH_BYTES - 10));
        let split: Vec<&[String]> = batches(&texts).collect();
        assert_eq!(split.concat(), texts);
        assert!(split.iter().all(|it| it.len() <= BATCH_TEXTS));
        let bytes = |it: &[String]| it.iter().map(String::len).sum::<usize>();
        assert!(
            split
                .iter()
                .all(|it| it.len() == 1 || bytes(it) <= BATCH_BYTES)
        );
        assert_eq!(batches(&[]).count(), 0);
    }
}
