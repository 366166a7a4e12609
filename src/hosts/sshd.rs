//! In which order sshd reads its files: the first value counts, and one in a `Match` block before all others.

use std::collections::BTreeMap;

use super::FileFacts;

/// Our file.
pub const DROP_IN: &str = "/etc/ssh/sshd_config.d/00-infra.conf";

/// The file that includes it.
const MAIN: &str = "/etc/ssh/sshd_config";

/// How it includes it as it comes with the system.
const EVERYTHING: [&str; 2] = ["/etc/ssh/sshd_config.d/*.conf", "sshd_config.d/*.conf"];

fn begins_with(line: &str, word: &str) -> bool {
    let first = line.trim_start().split([' ', '\t', '=']).next().unwrap_or_default();
    first.eq_ignore_ascii_case(word)
}

fn has_match(file: &FileFacts) -> bool {
    file.content.lines().any(|line| begins_with(line, "match"))
}

/// Whether our file is read before any `Match` block.
pub fn is_read_first(files: &BTreeMap<String, FileFacts>) -> bool {
    let Some(main) = files.get(MAIN) else { return false };
    for line in main.content.lines() {
        if begins_with(line, "match") {
            return false;
        }
        if begins_with(line, "include") {
            let named: Vec<&str> = line.split_whitespace().skip(1).collect();
            if named == [DROP_IN] {
                return true;
            }
            let mut before = files.iter().take_while(|(path, _)| path.as_str() != DROP_IN);
            // Of what other files are there, nobody knows.
            return !named.is_empty()
                && named.iter().all(|named| EVERYTHING.contains(named))
                && !before.any(|(path, file)| path != MAIN && has_match(file));
        }
    }
    false
}

/// Files with `Match` blocks, where our file is not read before these.
pub(super) fn blocks(files: &BTreeMap<String, FileFacts>) -> Vec<&str> {
    if files.contains_key(DROP_IN) && is_read_first(files) {
        return Vec::new();
    }
    let blocks = files.iter().filter(|(path, file)| path.as_str() != DROP_IN && has_match(file));
    blocks.map(|(path, _)| path.as_str()).collect()
}
