//! Stoa.
mod configuration;
mod telemetry;
fn main() {}
