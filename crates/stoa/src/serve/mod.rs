//! The server.
mod connections;
mod listener;
mod termination;
