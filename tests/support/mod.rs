//! What the tests share: a connection to an AWS that others wrote, and the engine run to its end.

pub mod proxy;
pub mod world;
