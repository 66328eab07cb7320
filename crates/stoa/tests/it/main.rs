//! Stoa from outside: the real program, driven as its users drive it.

mod command_line;
mod instances;
mod program;
mod serving;
mod support;
