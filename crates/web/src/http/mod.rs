//! What every route shares: problems, request ids, bodies, routes with their policies, assets.

pub(crate) mod body;
pub(crate) mod problem;
pub(crate) mod request_id;
pub(crate) mod routes;
