//! Stoa from outside: the real program, driven as its users drive it.

mod chat;
mod client;
mod command_line;
mod content;
mod crash;
mod five_steps;
mod instances;
mod pages;
mod policies;
mod program;
mod serving;
mod support;
