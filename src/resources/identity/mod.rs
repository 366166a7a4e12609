//! Who may do what: policies, roles, profiles, users.

mod access_key;
mod document;
mod policy;
mod profile;
mod role;
mod shared;
mod user;

use engine::Kind;

use crate::cloud::Cloud;
pub use access_key::{AccessKey, KeyFile, KeyObserved, KeysObserved};
pub use document::PolicyDocument;
pub use policy::{IamPolicy, IamPolicyObserved};
pub use profile::{InstanceProfile, InstanceProfileObserved};
pub use role::{IamRole, IamRoleObserved};
pub use shared::Grants;
pub use user::{IamUser, IamUserObserved};

/// This room's rows of the registry.
pub(super) fn kinds() -> Vec<Kind<Cloud>> {
    vec![Kind::of::<IamPolicy>(), Kind::of::<IamRole>(), Kind::of::<InstanceProfile>(), Kind::of::<IamUser>()]
}
