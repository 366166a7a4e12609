//! What carries traffic and says which may pass.

mod subnet;
mod vpc;

use engine::Kind;

use crate::cloud::Cloud;
pub use subnet::{Subnet, SubnetObserved};
pub use vpc::{Vpc, VpcObserved};

/// This room's rows of the registry.
pub(super) fn kinds() -> Vec<Kind<Cloud>> {
    vec![Kind::of::<Vpc>(), Kind::of::<Subnet>()]
}
