//! The kinds, in five rooms. One file a kind; [`REGISTRY`] lists them.
//!
//! Adding one: its file, its `mod` line and its row, both in its room's `mod.rs`. A kind reads back everything that it
//! sets, so that a change made by hand shows as drift, and compares by meaning, so that equal things are equal.

mod adopt;
mod compute;
mod host;
mod identity;
mod network;
mod storage;
pub mod tagging;

use std::sync::LazyLock;

use engine::Kind;

use crate::cloud::Cloud;
pub use adopt::adopt;
pub use compute::*;
pub use host::*;
pub use identity::*;
pub use network::*;
pub use storage::*;

/// The kinds that stand on hosts.
pub fn host_kinds() -> Vec<Kind<Cloud>> {
    host::kinds()
}

/// Every kind, in the order in which a reader meets them.
pub static REGISTRY: LazyLock<Vec<Kind<Cloud>>> =
    LazyLock::new(|| [network::kinds(), identity::kinds(), storage::kinds(), compute::kinds(), host::kinds()].concat());
