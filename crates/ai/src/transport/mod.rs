//! Sending requests and reading replies: deadlines, bounds, and what their failures mean.

pub(crate) mod calls;
mod incoming;

use std::error::Error;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, header};
use reqwest::Response;
use stoa_outbound::{Outbound, OutboundError};
use tokio::time::{Instant, timeout_at};

pub(crate) use self::incoming::{Incoming, Step};
use crate::error::{AiError, AiErrorCode};
use crate::limits::Limits;
use crate::request::Endpoint;
use crate::wire::{Call, Refusal, Wire};

/// Sends `call` and returns the reply if its status is a success.
pub(crate) async fn send(
    outbound: &Outbound,
    limits: &Limits,
    endpoint: &Endpoint,
    call: Call,
    deadline: Instant,
) -> Result<Response, AiError> {
    let method = match call.body {
        Some(_) => Method::POST,
        None => Method::GET,
    };
    let mut request = outbound
        .request(method, call.url)
        .map_err(|error| refused_by_the_door(&error))?
        .headers(uncompressed(call.headers));
    if let Some(body) = call.body {
        request = request.body(body);
    }
    let mut response = timeout_at(deadline, request.send())
        .await
        .map_err(|_| timeout("no reply"))?
        .map_err(|error| not_sent(outbound, &error))?;
    if response.status().is_success() {
        return Ok(response);
    }
    let body = read_beginning(&mut response, limits.error_bytes, deadline).await;
    let refusal = Refusal {
        status: response.status().as_u16(),
        headers: response.headers(),
        body: &body,
    };
    Err(Wire::explain(&refusal, endpoint))
}

/// What `work` gives, if it is done by `deadline`.
pub(crate) async fn within<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, AiError>>,
) -> Result<T, AiError> {
    let done = timeout_at(deadline, work).await;
    done.map_err(|_| timeout("the reply did not end"))?
}

/// Reads a whole body of at most `most` bytes.
pub(crate) async fn read_whole(
    mut response: Response,
    most: usize,
    deadline: Instant,
) -> Result<Bytes, AiError> {
    let mut body = BytesMut::new();
    loop {
        let piece = timeout_at(deadline, response.chunk())
            .await
            .map_err(|_| timeout("the reply did not end"))?
            .map_err(|error| broken(&error))?;
        let Some(piece) = piece else {
            return Ok(body.freeze());
        };
        if body.len() + piece.len() > most {
            return Err(AiError::protocol("the reply is too long"));
        }
        body.extend_from_slice(&piece);
    }
}

/// Reads at most `most` bytes of an error's body; whatever goes wrong, what was read counts.
async fn read_beginning(response: &mut Response, most: usize, deadline: Instant) -> BytesMut {
    let mut body = BytesMut::new();
    while body.len() < most {
        match timeout_at(deadline, response.chunk()).await {
            Ok(Ok(Some(piece))) => body.extend_from_slice(&piece),
            _ => break,
        }
    }
    body.truncate(most);
    body
}

/// Whether the media type of `response` is `kind`.
pub(crate) fn is_of_type(response: &Response, kind: &str) -> bool {
    let value = response.headers().get(header::CONTENT_TYPE);
    let value = value.and_then(|it| it.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(kind)
}

/// A server that compresses a stream gathers tokens before it sends them.
fn uncompressed(mut headers: HeaderMap) -> HeaderMap {
    headers.insert(
        header::ACCEPT_ENCODING,
        HeaderValue::from_static("identity"),
    );
    headers
}

fn timeout(what: &str) -> AiError {
    AiError::new(AiErrorCode::Timeout, what)
}

fn refused_by_the_door(error: &OutboundError) -> AiError {
    let code = match error {
        OutboundError::Forbidden { .. } => AiErrorCode::Forbidden,
        OutboundError::InvalidAddress { .. } => AiErrorCode::Rejected,
        OutboundError::Timeout { .. } => AiErrorCode::Timeout,
        OutboundError::Unresolved { .. }
        | OutboundError::Refused { .. }
        | OutboundError::Unreachable { .. }
        | OutboundError::Tls { .. }
        | OutboundError::Setup { .. } => AiErrorCode::Unreachable,
    };
    AiError::new(code, format!("{}: {error}", error.code()))
}

/// What it means that a request got no reply.
fn not_sent(outbound: &Outbound, error: &reqwest::Error) -> AiError {
    if let Some(refusal) = outbound.explain(error) {
        return AiError::new(
            refused_by_the_door(&refusal).code(),
            format!("{}: {}", refusal.code(), innermost(error)),
        );
    }
    let parse = find::<hyper::Error>(error).is_some_and(hyper::Error::is_parse);
    let code = match parse {
        true => AiErrorCode::Protocol,
        false => AiErrorCode::Unreachable,
    };
    AiError::new(code, innermost(error))
}

/// What it means that a reply broke off.
pub(super) fn broken(error: &reqwest::Error) -> AiError {
    AiError::new(AiErrorCode::Interrupted, innermost(error))
}

/// The last cause, which is the telling one; the outer ones repeat the address.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &(dyn Error + 'static) = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn find<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(found) = current.downcast_ref::<E>() {
            return Some(found);
        }
        cause = current.source();
    }
    None
}
