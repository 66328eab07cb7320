//! The server.
mod connections;
