//! Hosts: what is on them and how it is changed.

pub use crate::credentials::password;
