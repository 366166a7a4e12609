//! `users.txt` and the keys of those whom it lists.

mod person;

pub use person::{Password, Person, Sudo};

/// Whether `useradd` takes a login or the name of a group: `^[a-z_][a-z0-9_-]*$`, 32 characters at most.
pub(super) fn good_login(login: &str) -> bool {
    login.len() <= 32
        && login.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && login.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}
