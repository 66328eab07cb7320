//! The one door to addresses that clients chose: resolve, judge, connect to what was judged.
//!
//! Every name is resolved here, every address it has is judged by [`AddressPolicy`], and the
//! connection goes to the very address that was judged, so a name that answers differently the
//! second time gains nothing. Proxies are never used, and redirects followed only by
//! [`Outbound::fetch`], when its caller asks, each hop judged like the first.
//!
//! [`Outbound::connect`] is for TCP, [`Outbound::fetch`] for HTTP with an answer that is bounded in
//! time and bytes, [`Outbound::request`] for HTTP whose caller bounds the answer itself. What comes
//! as events is read by a [`SseDecoder`].

mod connect;
mod error;
mod fetch;
mod http;
mod judge;
mod policy;
mod resolve;
mod sse;

pub use connect::Outbound;
pub use error::OutboundError;
pub use fetch::{Bounds, FetchError, FetchRequest, Fetched};
pub use judge::is_globally_routable;
pub use policy::{AddressPolicy, AllowedHost, PolicyError};
pub use resolve::{Resolve, SystemResolver};
pub use sse::{SseDecoder, SseError, SseEvent};

#[cfg(test)]
mod tests;
