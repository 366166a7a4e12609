//! An overlay changes values for another environment: maps merge, all else is replaced.

use super::tree::{Data, Node};

/// Merges an overlay over a spec. Every value keeps its own place; a named thing keeps the place
/// where it was first named; `name: null` takes an entry away.
pub(super) fn merge(base: &mut Node, overlay: Node) {
    let (Data::Map(entries), Data::Map(_)) = (&mut base.data, &overlay.data) else {
        *base = overlay;
        return;
    };
    let Data::Map(changes) = overlay.data else { return };
    for (key, change) in changes {
        let existing = entries.iter().position(|(other, _)| other.text == key.text);
        match existing {
            Some(at) if change.is_null() => {
                entries.remove(at);
            }
            Some(at) => merge(&mut entries[at].1, change),
            None => entries.push((key, change)),
        }
    }
}
