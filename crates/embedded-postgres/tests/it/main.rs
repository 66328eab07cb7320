//! The launcher with real servers: whatever became of the last run, and as root or not.

#[cfg(test)]
mod command;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod support;
#[cfg(test)]
mod trouble;
