//! Stoa.
mod configuration;
mod serve;
mod telemetry;
fn main() {}
