//! What a line of `users.txt` says, with the host's defaults filled in.

use jiff::civil::Date;
use secrecy::{ExposeSecret, SecretString};

use super::super::model::Spanned;
use crate::credentials::{password::PasswordHash, public_key::PublicKey};

/// A person with a login on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The login, at its line: `^[a-z_][a-z0-9_-]*$`, at most 32, no system account and not the administrator's.
    pub login: Spanned<String>,
    /// The keys that open it, each at its line in the key's file; never empty, no two alike. No other key may.
    pub keys: Vec<Spanned<PublicKey>>,
    /// Groups beside the login's own, each once; none that gives root in a way that `sudo` would not show.
    pub groups: Vec<Spanned<String>>,
    /// Whether they may become root.
    pub sudo: Spanned<Sudo>,
    /// The login shell, an absolute path; `/bin/bash` unless said.
    pub shell: Spanned<String>,
    /// The account's password.
    pub password: Spanned<Password>,
    /// The first day on which the account is closed; `None` for never. It may be in the past.
    pub expires: Option<Spanned<Date>>,
}

/// Whether a person may become root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sudo {
    /// Not at all.
    No,
    /// Once they have given their password; only where they have one.
    Password,
    /// Without being asked: what `yes` means for an account without a password, which could not answer.
    NoPassword,
}

/// The password of an account. SSH never takes it: it is for sudo and the console.
#[derive(Clone, Debug)]
pub enum Password {
    /// None: the field in `/etc/shadow` is locked.
    None,
    /// This hash.
    Hash(PasswordHash),
    /// Any sha512-crypt hash that it matches; it comes from a file that only its owner can read.
    Secret(SecretString),
}

impl Password {
    /// Whether the account has one.
    pub fn is_some(&self) -> bool {
        !matches!(self, Self::None)
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::Hash(one), Self::Hash(other)) => one == other,
            (Self::Secret(one), Self::Secret(other)) => one.expose_secret() == other.expose_secret(),
            (Self::None | Self::Hash(_) | Self::Secret(_), _) => false,
        }
    }
}

impl Eq for Password {}
