//! Passwords and SSH keys: which are good enough, and how a password is kept.
//!
//! It knows nothing of ours, so that the spec, the hosts and the resources judge alike.

mod known;
pub mod password;
pub mod public_key;
pub mod secret_file;

pub use known::Known;
