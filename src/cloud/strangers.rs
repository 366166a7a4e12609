//! Names that somebody else has: told by the plan where a read shows them anyway, and by the create that meets them.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use engine::Address;

use super::{ADDRESS_TAG, Cloud, Names, STACK_TAG, Tags};

/// Objects that were seen under names that are unique in the account, and that are not the stack's: by kind and name, what
/// they are adopted by (a name or an ARN) and their tags.
#[derive(Debug, Default)]
pub struct Strangers(Mutex<BTreeMap<Name, (String, Tags)>>);

/// A kind, and a name that is unique in it.
type Name = (&'static str, String);

impl Cloud {
    /// Takes note of all the others' objects that a read of `kind` showed, in place of what an earlier read did.
    /// Each has its name, what it is adopted by, and its tags.
    pub fn note_strangers(&self, kind: &'static str, seen: impl IntoIterator<Item = (String, String, Tags)>) {
        let mut strangers = self.strangers.0.lock().unwrap_or_else(PoisonError::into_inner);
        strangers.retain(|(of, _), _| *of != kind);
        strangers.extend(seen.into_iter().map(|(name, id, tags)| ((kind, name), (id, tags))));
    }

    /// Why an object of `name` cannot be made at `address`, as far as the last reads know.
    pub fn taken_name(&self, address: &Address, name: &str) -> Option<String> {
        // What an interrupted run of ours made may not carry its tags yet: its create takes it up.
        if self.journal.is_interrupted(&address.to_string()) {
            return None;
        }
        let strangers = self.strangers.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (id, tags) = strangers.get(&(address.kind, name.to_owned()))?;
        let what = format!("the {}", address.kind.replace("iam_", "").replace('_', " "));
        Some(taken(&self.names, address, &what, id, tags))
    }
}

/// Why the object that has the name of the one at `address` is not taken for it, and what to do.
pub fn taken(names: &Names, address: &Address, what: &str, id: &str, tags: &Tags) -> String {
    let stack = &names.stack;
    let why = match (tags.get(STACK_TAG), tags.get(ADDRESS_TAG)) {
        (Some(owner), Some(claimed)) if owner == stack && *claimed == address.to_string() => {
            "as the stack's own: another run made it a moment ago; run the same command again".to_owned()
        }
        (Some(owner), claimed) if owner == stack => {
            format!("as the stack's {}", claimed.map_or("nameless object", |claimed| claimed))
        }
        (Some(owner), _) => format!("and belongs to stack {owner}; choose another name"),
        (None, _) => {
            format!("and does not belong to stack {stack}; `infra adopt {address} {id}` takes it over")
        }
    };
    format!("{what} {id} exists already {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pairs: &[(&str, &str)]) -> String {
        let names = Names { stack: "ours".into(), ..Names::default() };
        let tags = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        taken(&names, &Address::new("iam_role", "r"), "the role", "ours-r", &tags)
    }

    #[test]
    fn adopting_is_advised_only_where_it_would_work() {
        assert!(told(&[]).ends_with("does not belong to stack ours; `infra adopt iam_role/r ours-r` takes it over"));
        let own = told(&[(STACK_TAG, "ours"), (ADDRESS_TAG, "iam_role/r")]);
        assert!(own.contains("another run made it a moment ago; run the same command again"), "{own}");
        let other = told(&[(STACK_TAG, "ours"), (ADDRESS_TAG, "iam_role/q")]);
        assert!(other.ends_with("exists already as the stack's iam_role/q"), "{other}");
        let theirs = told(&[(STACK_TAG, "theirs")]);
        assert!(theirs.ends_with("belongs to stack theirs; choose another name"), "{theirs}");
        for advice in [own, other, theirs] {
            assert!(!advice.contains("adopt"), "{advice}");
        }
    }
}
