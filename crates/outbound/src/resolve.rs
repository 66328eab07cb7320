//! From names to addresses.

use std::{future::Future, io, net::IpAddr, pin::Pin};

/// Turns a name into its addresses. Tests put their own in place, to move names under our feet.
pub trait Resolve: Send + Sync {
    /// All addresses of `host`; empty or an error when it has none.
    fn resolve<'a>(
        &'a self,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;
}

/// The resolver of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
        Box::pin(async move {
            #[expect(
                clippy::disallowed_methods,
                reason = "this is the one place that resolves names"
            )]
            let found = tokio::net::lookup_host((host, 0)).await?;
            let mut addresses: Vec<IpAddr> = found.map(|it| it.ip()).collect();
            addresses.dedup();
            Ok(addresses)
        })
    }
}
