//! The names of a provider's models.

use tokio::time::Instant;

use crate::client::Ai;
use crate::error::AiError;
use crate::provider::Profile;
use crate::request::Endpoint;
use crate::transport;

/// More names than this are not listed.
const MOST_MODELS: usize = 2_000;

impl Ai {
    /// The names of the models that the key may use, as the provider lists them. Also the
    /// cheapest way to learn whether a server is there.
    ///
    /// # Errors
    ///
    /// As [`Ai::stream`].
    pub async fn models(&self, endpoint: &Endpoint) -> Result<Vec<String>, AiError> {
        let deadline = Instant::now() + self.limits().single_reply;
        let profile = Profile::of(endpoint.provider)?;
        let reply = self
            .call(endpoint, &profile, deadline, |wire, base| {
                wire.models_call(base, endpoint)
            })
            .await?;
        let most = self.limits().reply_bytes;
        let body = transport::read_whole(reply.response, most, deadline).await?;
        let mut models = reply.wire.models(&body)?;
        models.truncate(MOST_MODELS);
        Ok(models)
    }
}
