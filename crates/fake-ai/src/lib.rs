//! fake-ai
