//! What the tests share: a connection to an AWS that others wrote, and the engine run to its end.

pub mod aws;
pub mod census;
pub mod cli;
pub mod hosts;
pub mod kill;
pub mod lab;
pub mod proxy;
pub mod server;
pub mod world;
