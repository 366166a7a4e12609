//! Who may do what: policies, roles, profiles, users.

use engine::Kind;

use crate::cloud::Cloud;

/// This room's rows of the registry.
pub(super) fn kinds() -> Vec<Kind<Cloud>> {
    vec![]
}
