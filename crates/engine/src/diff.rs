//! What separates an observed object from the resource that asks for it, field by field.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::Ref;

/// What carrying a change out does to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The object goes on as it is.
    InPlace,
    /// The object stops working for a while: an instance is stopped, changed and started.
    Interrupts,
    /// The field is fixed at creation: the object is deleted and another one made.
    Replaces,
}

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The field's name as the plan shows it: `cidr`, `tags.owner`.
    pub field: String,
    /// What is there; null where nothing is.
    pub from: Value,
    /// What is wanted; null where nothing is.
    pub to: Value,
    /// What changing it does to the object.
    pub effect: Effect,
}

/// The fields that differ; empty when the object is as desired.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Diff {
    /// In the order in which the kind compares them.
    pub changes: Vec<Change>,
}

impl Diff {
    /// True when nothing differs.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// True when the object cannot be changed into the resource and must be replaced.
    pub fn replaces(&self) -> bool {
        self.changes.iter().any(|change| change.effect == Effect::Replaces)
    }

    /// True when `field`, or a field below it (`tags` for `tags.owner`), differs.
    pub fn touches(&self, field: &str) -> bool {
        self.changes
            .iter()
            .any(|change| change.field.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    }

    /// Compares a field that can change in place.
    pub fn field<T: PartialEq + Serialize + ?Sized>(&mut self, field: &str, from: &T, to: &T) -> &mut Self {
        self.compare(field, from, to, Effect::InPlace)
    }

    /// Compares a field that can change only while the object is out of service.
    pub fn interrupting<T: PartialEq + Serialize + ?Sized>(&mut self, field: &str, from: &T, to: &T) -> &mut Self {
        self.compare(field, from, to, Effect::Interrupts)
    }

    /// Compares a field that is fixed at creation.
    pub fn fixed<T: PartialEq + Serialize + ?Sized>(&mut self, field: &str, from: &T, to: &T) -> &mut Self {
        self.compare(field, from, to, Effect::Replaces)
    }

    /// Compares a link that is fixed at creation: the observed id against the linked object's, which is `None`
    /// while that object does not exist or is being replaced.
    pub fn fixed_link<R>(&mut self, field: &str, from: &str, to: Option<&str>, link: &Ref<R>) -> &mut Self {
        self.link(field, from, to, link, Effect::Replaces)
    }

    /// Compares a link that can change in place; see [`Diff::fixed_link`].
    pub fn field_link<R>(&mut self, field: &str, from: &str, to: Option<&str>, link: &Ref<R>) -> &mut Self {
        self.link(field, from, to, link, Effect::InPlace)
    }

    fn link<R>(&mut self, field: &str, from: &str, to: Option<&str>, link: &Ref<R>, effect: Effect) -> &mut Self {
        if to != Some(from) {
            // The id is not known before the linked object is made; its address says which one it will be.
            let to = to.map_or_else(|| link.address().to_string(), str::to_owned);
            self.push(field, Value::String(from.into()), Value::String(to), effect);
        }
        self
    }

    /// Compares two sets, without regard to order; the change holds only what goes and what comes.
    pub fn set<T: Ord + Serialize>(&mut self, field: &str, from: &BTreeSet<T>, to: &BTreeSet<T>) -> &mut Self {
        if from != to {
            let going: Vec<&T> = from.difference(to).collect();
            let coming: Vec<&T> = to.difference(from).collect();
            self.push(field, value(&going), value(&coming), Effect::InPlace);
        }
        self
    }

    /// Compares two maps; every key that differs is a field of its own: `tags.owner`.
    pub fn map<T: PartialEq + Serialize>(
        &mut self,
        field: &str,
        from: &BTreeMap<String, T>,
        to: &BTreeMap<String, T>,
    ) -> &mut Self {
        let keys: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
        for key in keys {
            let (before, after) = (from.get(key), to.get(key));
            if before != after {
                self.push(&format!("{field}.{key}"), value(&before), value(&after), Effect::InPlace);
            }
        }
        self
    }

    /// Records a change that the kind found by other means than equality.
    pub fn push(&mut self, field: &str, from: Value, to: Value, effect: Effect) -> &mut Self {
        self.changes.push(Change { field: field.to_owned(), from, to, effect });
        self
    }

    fn compare<T: PartialEq + Serialize + ?Sized>(
        &mut self,
        field: &str,
        from: &T,
        to: &T,
        effect: Effect,
    ) -> &mut Self {
        if from != to {
            self.push(field, value(from), value(to), effect);
        }
        self
    }
}

fn value<T: Serialize + ?Sized>(of: &T) -> Value {
    serde_json::to_value(of).unwrap_or_else(|error| Value::String(format!("(cannot be shown: {error})")))
}
