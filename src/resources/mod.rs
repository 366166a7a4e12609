//! The kinds. One file a kind; [`REGISTRY`] lists them.
//!
//! Adding one: its file, its `mod` line, its row. A kind reads back everything that it sets, so that a change made by
//! hand shows as drift, and compares by meaning, so that equal things are equal.

mod subnet;
pub mod tagging;
mod vpc;

use engine::Kind;

use crate::cloud::Cloud;
pub use subnet::{Subnet, SubnetObserved};
pub use vpc::{Vpc, VpcObserved};

/// Every kind, in the order in which a reader meets them.
pub const REGISTRY: &[Kind<Cloud>] = &[Kind::of::<Vpc>(), Kind::of::<Subnet>()];
