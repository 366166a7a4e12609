//! A password that is known, so that a hash which it matches needs no change.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use secrecy::SecretString;

use super::password::{self, PasswordHash};

/// A password, and a hash of it. Checking a hash takes a quarter of a second, so that answers are kept.
#[derive(Clone)]
pub struct Known {
    password: SecretString,
    hash: PasswordHash,
    checked: Arc<Mutex<BTreeMap<String, bool>>>,
}

impl Known {
    /// Takes a password, and makes a hash of it.
    pub fn new(password: SecretString) -> anyhow::Result<Self> {
        let hash = password::hash(&password)?;
        Ok(Self { password, hash, checked: Arc::default() })
    }

    /// The hash to set where none matches.
    pub fn hash(&self) -> &PasswordHash {
        &self.hash
    }

    /// Whether `hash` is one of this password, and as hard to guess as ours.
    pub fn matches(&self, hash: &str) -> bool {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = checked.get(hash) {
            return *known;
        }
        let good = PasswordHash::parse(hash).is_ok_and(|parsed| parsed.rounds() >= password::ROUNDS);
        let matches = good && password::verify(&self.password, hash);
        checked.insert(hash.to_owned(), matches);
        matches
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(a password)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_of_it_matches_and_a_weak_one_does_not() {
        let known = Known::new(SecretString::from("a password")).unwrap();
        let other = Known::new(SecretString::from("a password")).unwrap();
        assert_ne!(known.hash().expose(), other.hash().expose(), "each has its own salt");
        assert!(known.matches(other.hash().expose()));
        assert!(!known.matches(Known::new(SecretString::from("another")).unwrap().hash().expose()));
        assert!(!known.matches("*"));
        assert_eq!(format!("{known:?}"), "(a password)");
    }
}
