//! The one door to addresses that clients chose: resolve, judge, connect to what was judged.
//!
//! Every name is resolved here, every address it has is judged by [`AddressPolicy`], and the
//! connection goes to the very address that was judged, so a name that answers differently the
//! second time gains nothing. Proxies are never used and redirects never followed.

mod connect;
mod error;
mod http;
mod judge;
mod policy;
mod resolve;

pub use connect::Outbound;
pub use error::OutboundError;
pub use judge::is_globally_routable;
pub use policy::{AddressPolicy, AllowedHost, PolicyError};
pub use resolve::{Resolve, SystemResolver};

#[cfg(test)]
mod tests;
