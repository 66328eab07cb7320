//! The judge against independent statements of the ranges, and the door against real sockets.

mod door;
mod judge;
