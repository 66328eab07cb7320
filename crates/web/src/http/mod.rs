//! What every route shares: problems, request ids, bodies, routes with their policies, assets.

pub(crate) mod assets;
pub(crate) mod body;
pub(crate) mod caller;
pub(crate) mod creation;
mod failures;
pub(crate) mod id;
pub(crate) mod measure;
pub(crate) mod once;
pub(crate) mod page;
pub(crate) mod params;
pub(crate) mod patch;
pub(crate) mod peer;
pub(crate) mod problem;
pub(crate) mod request_id;
pub mod routes;
