//! The tools that a client gives its bot.

mod sealed;
mod toolbox;

pub use toolbox::{BoxedTool, Offered, Toolbox};
