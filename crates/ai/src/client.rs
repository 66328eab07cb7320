//! Asking a provider.

use std::sync::Arc;

use stoa_outbound::Outbound;
use tokio::time::Instant;
use url::Url;

use crate::answer::{AnswerStream, Completion};
use crate::breaker::Breakers;
use crate::error::{AiError, AiErrorCode};
use crate::limits::Limits;
use crate::provider::Profile;
use crate::request::{ChatRequest, Endpoint};
use crate::transport::{self, Incoming};
use crate::wire::{Call, Wire};

/// How often a request is put in another way because the server refused one of its fields.
const MOST_AMENDMENTS: usize = 4;

/// Speaks to providers. Cheap to clone; holds no keys and nothing of any client.
#[derive(Clone)]
pub struct Ai {
    outbound: Outbound,
    limits: Arc<Limits>,
    breakers: Arc<Breakers>,
}

/// A reply to one of our calls, and the format that it is in.
pub(crate) struct Reply {
    pub(crate) wire: Wire,
    pub(crate) response: reqwest::Response,
}

impl Ai {
    /// Through this door, with the product's limits.
    #[must_use]
    pub fn new(outbound: Outbound) -> Self {
        Self::with_limits(outbound, Limits::default())
    }

    /// With limits of one's own.
    #[must_use]
    pub fn with_limits(outbound: Outbound, limits: Limits) -> Self {
        Self {
            outbound,
            limits: Arc::new(limits),
            breakers: Arc::default(),
        }
    }

    /// Asks for an answer as it is written, and waits for its first event: what fails before
    /// that fails here, and another configuration can be asked instead. What has failed again and
    /// again is not asked for a while, and fails at once with what failed last.
    ///
    /// # Errors
    ///
    /// Every [`AiErrorCode`]. `Unsupported` for `passages`, which is no network call: see
    /// [`crate::passages`].
    pub async fn stream(
        &self,
        endpoint: &Endpoint,
        request: &ChatRequest,
    ) -> Result<AnswerStream, AiError> {
        let permit = self
            .breakers
            .enter(endpoint, &request.model, Instant::now())?;
        let opened = self.open(endpoint, request).await;
        permit.settle(opened.as_ref().err(), Instant::now());
        opened
    }

    async fn open(
        &self,
        endpoint: &Endpoint,
        request: &ChatRequest,
    ) -> Result<AnswerStream, AiError> {
        let started = Instant::now();
        let deadline = started + self.limits.first_token;
        let profile = Profile::of(endpoint.provider)?;
        let reply = self
            .call(endpoint, &profile, deadline, |wire, base| {
                wire.chat_call(base, endpoint, request, true)
            })
            .await?;
        // Some servers do not stream, or not with every model, and answer at once.
        if transport::is_of_type(&reply.response, "application/json") {
            let body =
                transport::read_whole(reply.response, self.limits.reply_bytes, deadline).await?;
            return self
                .completion(reply.wire, &body, endpoint, request)
                .map(AnswerStream::whole);
        }
        if transport::is_of_type(&reply.response, "text/html") {
            return Err(AiError::protocol("the reply is a web page"));
        }
        AnswerStream::begin(self.incoming(reply, endpoint, request, started)).await
    }

    fn incoming(
        &self,
        reply: Reply,
        endpoint: &Endpoint,
        request: &ChatRequest,
        started: Instant,
    ) -> Incoming {
        let limits = Arc::clone(&self.limits);
        let (key, first_call) = (endpoint.api_key.clone(), request.next_call());
        Incoming::new(reply, limits, key, started, first_call)
    }

    /// Asks for a whole answer, within [`Limits::single_reply`]. It is asked for whatever failed
    /// before, since this is also how a configuration is tried; success ends the rest of one that
    /// failed.
    ///
    /// # Errors
    ///
    /// As [`Ai::stream`].
    pub async fn complete(
        &self,
        endpoint: &Endpoint,
        request: &ChatRequest,
    ) -> Result<Completion, AiError> {
        let started = Instant::now();
        let deadline = started + self.limits.single_reply;
        let profile = Profile::of(endpoint.provider)?;
        let reply = self
            .call(endpoint, &profile, deadline, |wire, base| {
                wire.chat_call(base, endpoint, request, false)
            })
            .await?;
        // Some servers stream whatever they are asked for.
        let completion = if transport::is_of_type(&reply.response, "text/event-stream") {
            let incoming = self.incoming(reply, endpoint, request, started);
            transport::within(deadline, AnswerStream::gathered(incoming)).await?
        } else {
            let body = transport::read_whole(reply.response, self.limits.reply_bytes, deadline);
            self.completion(reply.wire, &body.await?, endpoint, request)?
        };
        self.breakers.succeeded(endpoint, &request.model);
        Ok(completion)
    }

    /// Why this process does not ask a model for now, after failures in a row or because its
    /// provider said so; `None` where it would be asked.
    #[must_use]
    pub fn resting(&self, endpoint: &Endpoint, model: &str) -> Option<AiErrorCode> {
        self.breakers.resting(endpoint, model, Instant::now())
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn breakers(&self) -> &Arc<Breakers> {
        &self.breakers
    }

    /// Sends what `encode` makes, and again in another way where the first says that it must be.
    pub(crate) async fn call(
        &self,
        endpoint: &Endpoint,
        profile: &Profile,
        deadline: Instant,
        encode: impl Fn(Wire, &Url) -> Result<Call, AiError>,
    ) -> Result<Reply, AiError> {
        let mut base = profile.base_url(endpoint)?;
        let mut wire = profile.wire;
        let mut moved_from: Option<AiError> = None;
        let mut amendments = 0;
        loop {
            let call = encode(wire, &base)?;
            let sent = transport::send(&self.outbound, &self.limits, endpoint, call, deadline);
            let error = match sent.await {
                Ok(response) => return Ok(Reply { wire, response }),
                Err(error) => error,
            };
            if let Some(amended) = wire
                .amended(&error)
                .filter(|_| amendments < MOST_AMENDMENTS)
            {
                wire = amended;
                amendments += 1;
                continue;
            }
            match (error.code(), moved_from) {
                (AiErrorCode::NotFound, None) => match wire.other_base(&base) {
                    Some(other) => base = other,
                    None => return Err(error),
                },
                // Neither place has it: the first reply is to the address that was configured.
                (AiErrorCode::NotFound, Some(first)) => return Err(first),
                _ => return Err(error),
            }
            moved_from = Some(error);
        }
    }

    fn completion(
        &self,
        wire: Wire,
        body: &[u8],
        endpoint: &Endpoint,
        request: &ChatRequest,
    ) -> Result<Completion, AiError> {
        let parts = wire
            .decode_whole(body)
            .map_err(|error| error.without_key(endpoint.api_key.as_ref()))?;
        Completion::of(parts, &self.limits, request.next_call())
    }
}
