//! Who may become root, as the sudoers files say.
//!
//! Enough of sudoers(5) for an honest answer: users, groups, numbers, `ALL`, aliases of users, `NOPASSWD`, `!authenticate`
//! and what is forbidden again further down. Host lists and run-as lists are taken to apply.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::Serialize;

use super::{Account, Facts};

/// Whether an account may become root by sudo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sudo {
    /// It may run nothing.
    #[default]
    No,
    /// Some commands, which may or may not be as good as all.
    Partly,
    /// Everything, for its password.
    Asks,
    /// Everything, without being asked.
    NoPassword,
}

impl fmt::Display for Sudo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No => "no",
            Self::Partly => "some commands",
            Self::Asks => "asks",
            Self::NoPassword => "no password",
        })
    }
}

/// Everything that the host's sudoers files say, in the order in which sudo reads them.
#[derive(Debug, Default)]
pub(super) struct Sudoers {
    grants: Vec<Grant>,
    aliases: BTreeMap<String, Vec<String>>,
    /// Whom `!authenticate` is said of; `None` for everybody.
    never_asked: Vec<Option<String>>,
}

#[derive(Debug)]
struct Grant {
    users: Vec<String>,
    commands: Vec<Command>,
}

#[derive(Debug)]
struct Command {
    all: bool,
    forbids: bool,
    asks: Option<bool>,
}

/// Who an account is, to sudo.
struct Who<'a> {
    login: &'a str,
    uid: u32,
    groups: BTreeMap<&'a str, u32>,
}

impl Sudoers {
    /// Reads the files that a host told.
    pub(super) fn read(facts: &Facts) -> Self {
        let mut sudoers = Self::default();
        // In the order of their names, the main file first: it includes the others at its end.
        for (path, file) in &facts.sudoers {
            let name = path.rsplit('/').next().unwrap_or_default();
            // sudo does not read such names from its folder.
            if path != "/etc/sudoers" && (name.contains('.') || name.ends_with('~')) {
                continue;
            }
            for line in logical_lines(&file.content) {
                sudoers.line(&line);
            }
        }
        sudoers
    }

    fn line(&mut self, line: &str) {
        let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        if let Some(of) = first.strip_prefix("Defaults") {
            if rest.split(',').any(|option| option.trim().replace(' ', "") == "!authenticate") {
                match of.chars().next() {
                    None => self.never_asked.push(None),
                    Some(':') => self.never_asked.push(Some(of[1..].to_owned())),
                    _ => {}
                }
            }
        } else if first == "User_Alias" {
            for alias in rest.split(':') {
                if let Some((name, members)) = alias.split_once('=') {
                    self.aliases.insert(name.trim().to_owned(), list(members));
                }
            }
        } else if !(first.ends_with("_Alias") || first.starts_with('@')) {
            self.grant(line);
        }
    }

    fn grant(&mut self, line: &str) {
        let Some((left, right)) = line.split_once('=') else { return };
        // `alice, %ops web1, web2 = …`: lists hold blanks only beside their commas.
        let left = left.replace(", ", ",").replace(" ,", ",");
        let Some(users) = left.split_whitespace().next() else { return };
        // `web = A : database = B`; a lone `:` may also follow a tag.
        let sections = right.split(" : ").map(|section| section.split_once('=').map_or(section, |(_, right)| right));
        let words = sections.collect::<Vec<_>>().join(",").replace("PASSWD,", "PASSWD:");
        let mut asks = None;
        let mut commands = Vec::new();
        for word in words.split(',') {
            let mut word = word.trim();
            if let Some(rest) = word.strip_prefix('(') {
                word = rest.split_once(')').map_or("", |(_, rest)| rest).trim_start();
            }
            // A tag holds for all commands after it.
            while let Some((tag, rest)) = word.split_once(':')
                && !tag.is_empty()
                && tag.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_')
            {
                match tag {
                    "NOPASSWD" => asks = Some(false),
                    "PASSWD" => asks = Some(true),
                    _ => {}
                }
                word = rest.trim_start();
            }
            let (forbids, command) = word.strip_prefix('!').map_or((false, word), |rest| (true, rest.trim_start()));
            commands.push(Command { all: command == "ALL", forbids, asks });
        }
        self.grants.push(Grant { users: list(users), commands });
    }

    /// What an account may.
    pub(super) fn of(&self, login: &str, account: &Account, facts: &Facts) -> Sudo {
        if account.uid == 0 {
            return Sudo::NoPassword;
        }
        let groups = facts.groups.iter();
        let groups = groups.filter(|(_, group)| group.gid == account.gid || group.members.contains(login));
        let groups = groups.map(|(name, group)| (name.as_str(), group.gid)).collect();
        let who = Who { login, uid: account.uid, groups };
        let never_asked = self.never_asked.iter().any(|of| match of {
            None => true,
            Some(users) => self.names(&list(users), &who),
        });
        let mut may = Sudo::No;
        for grant in self.grants.iter().filter(|grant| self.names(&grant.users, &who)) {
            for command in &grant.commands {
                // The last one that matches counts.
                may = match command {
                    Command { all: true, forbids: true, .. } => Sudo::No,
                    Command { all: true, asks: Some(false), .. } => Sudo::NoPassword,
                    Command { all: true, .. } if never_asked => Sudo::NoPassword,
                    Command { all: true, .. } => Sudo::Asks,
                    Command { all: false, forbids: false, .. } => may.max(Sudo::Partly),
                    // All but some is all: a copy of what is forbidden has another name.
                    Command { all: false, forbids: true, .. } => may,
                };
            }
        }
        may
    }

    /// Whether a list of users names somebody; the last item that does counts.
    fn names(&self, users: &[String], who: &Who<'_>) -> bool {
        self.names_within(users, who, &mut BTreeSet::new())
    }

    fn names_within<'a>(&'a self, users: &'a [String], who: &Who<'_>, seen: &mut BTreeSet<&'a str>) -> bool {
        let mut named = false;
        for item in users {
            let (forbids, item) = item.strip_prefix('!').map_or((false, item.as_str()), |rest| (true, rest));
            let hit = if let Some(gid) = item.strip_prefix("%#") {
                gid.parse().is_ok_and(|gid: u32| who.groups.values().any(|of| *of == gid))
            } else if let Some(group) = item.strip_prefix('%') {
                who.groups.contains_key(group)
            } else if let Some(uid) = item.strip_prefix('#') {
                uid.parse() == Ok(who.uid)
            } else if let Some(members) = self.aliases.get(item) {
                // One that names itself is no reason to go round for ever.
                seen.insert(item) && self.names_within(members, who, seen)
            } else {
                item == "ALL" || item == who.login
            };
            if hit {
                named = !forbids;
            }
        }
        named
    }
}

/// Lines without comments, continued ones joined.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for part in text.lines() {
        if let Some(part) = part.strip_suffix('\\') {
            line.push_str(part);
            line.push(' ');
            continue;
        }
        line.push_str(part);
        let whole = std::mem::take(&mut line);
        // `#1000` is a user; all other `#` begin comments (or the old form of `@include`).
        let end = whole.match_indices('#').map(|(at, _)| at);
        let end = end.filter(|at| !whole[at + 1..].starts_with(|next: char| next.is_ascii_digit())).min();
        let kept = whole[..end.unwrap_or(whole.len())].trim();
        if !kept.is_empty() {
            lines.push(kept.to_owned());
        }
    }
    lines
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(|item| item.trim().trim_matches('"').to_owned()).filter(|item| !item.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{FileFacts, GroupFacts},
        *,
    };

    fn facts(files: &[(&str, &str)]) -> Facts {
        let mut facts = Facts::default();
        for (path, text) in files {
            let file = FileFacts { mode: "440".into(), owner: "root:root".into(), content: (*text).to_owned() };
            facts.sudoers.insert((*path).to_owned(), file);
        }
        let group = |gid, members: &[&str]| GroupFacts { gid, members: members.iter().map(|m| (*m).into()).collect() };
        facts.groups.insert("sudo".into(), group(27, &["ana"]));
        facts.groups.insert("ops".into(), group(2000, &[]));
        facts
    }

    fn may(files: &[(&str, &str)], login: &str, uid: u32, gid: u32) -> Sudo {
        let facts = facts(files);
        let account = Account { uid, gid, home: format!("/home/{login}"), shell: "/bin/bash".into() };
        Sudoers::read(&facts).of(login, &account, &facts)
    }

    const MAIN: &str = "\
# the usual
Defaults\tenv_reset
Defaults:%sudo env_keep += \"LANG\"
Cmnd_Alias SHUT = /sbin/halt, \\
    /sbin/reboot
root\tALL=(ALL:ALL) ALL
%sudo\tALL=(ALL:ALL) ALL
@includedir /etc/sudoers.d
";

    #[test]
    fn groups_logins_and_numbers_are_found() {
        let ours = "caro ALL=(ALL:ALL) NOPASSWD: ALL\n#1007 ALL = ALL\n%#2000 ALL=(root) NOPASSWD:SETENV: ALL\n";
        let files = [("/etc/sudoers", MAIN), ("/etc/sudoers.d/90-infra", ours)];
        assert_eq!(may(&files, "ana", 1001, 1001), Sudo::Asks, "by the group sudo");
        assert_eq!(may(&files, "bea", 1002, 1002), Sudo::No);
        assert_eq!(may(&files, "bea", 1002, 27), Sudo::Asks, "by her own group");
        assert_eq!(may(&files, "caro", 1003, 1003), Sudo::NoPassword);
        assert_eq!(may(&files, "dora", 1007, 1008), Sudo::Asks, "by her number");
        assert_eq!(may(&files, "eva", 1009, 2000), Sudo::NoPassword, "by her group's number");
        assert_eq!(may(&files, "root", 0, 0), Sudo::NoPassword);
    }

    #[test]
    fn what_comes_last_counts() {
        let taken = [("/etc/sudoers", MAIN), ("/etc/sudoers.d/99", "ana ALL=(ALL) !ALL\n")];
        assert_eq!(may(&taken, "ana", 1001, 1001), Sudo::No);
        let asked = [("/etc/sudoers", MAIN), ("/etc/sudoers.d/99", "ana ALL = NOPASSWD: /bin/ls, PASSWD: ALL\n")];
        assert_eq!(may(&asked, "ana", 1001, 1001), Sudo::Asks);
        let some = [("/etc/sudoers", MAIN), ("/etc/sudoers.d/99", "bea ALL = NOPASSWD: /bin/ls, !/bin/sh\n")];
        assert_eq!(may(&some, "bea", 1002, 1002), Sudo::Partly);
        assert_eq!(may(&some, "ana", 1001, 1001), Sudo::Asks, "others' lines are not hers");
    }

    #[test]
    fn aliases_lists_and_defaults_are_followed() {
        let alias = "User_Alias ADMINS = bea, %ops, LOOP : LOOP = ADMINS\nADMINS, zoe ALL , web = (ALL) ALL\n";
        assert_eq!(may(&[("/etc/sudoers", alias)], "bea", 1002, 1002), Sudo::Asks);
        assert_eq!(may(&[("/etc/sudoers", alias)], "eva", 1009, 2000), Sudo::Asks);
        assert_eq!(may(&[("/etc/sudoers", alias)], "zoe", 1010, 1010), Sudo::Asks);
        assert_eq!(may(&[("/etc/sudoers", alias)], "ana", 1001, 1001), Sudo::No);
        let but = "ALL, !bea ALL=(ALL) ALL\n";
        assert_eq!(may(&[("/etc/sudoers", but)], "bea", 1002, 1002), Sudo::No);
        assert_eq!(may(&[("/etc/sudoers", but)], "ana", 1001, 1001), Sudo::Asks);
        let never = "Defaults !authenticate\n%sudo ALL=(ALL) ALL\n";
        assert_eq!(may(&[("/etc/sudoers", never)], "ana", 1001, 1001), Sudo::NoPassword);
        let her = "Defaults:ana !authenticate\n%sudo,bea ALL=(ALL) ALL\n";
        assert_eq!(may(&[("/etc/sudoers", her)], "ana", 1001, 1001), Sudo::NoPassword);
        assert_eq!(may(&[("/etc/sudoers", her)], "bea", 1002, 1002), Sudo::Asks);
    }

    #[test]
    fn every_part_of_a_line_counts() {
        for line in ["bea web = /bin/ls : db = (ALL) NOPASSWD: ALL", "bea ALL = (ALL) NOPASSWD : ALL"] {
            assert_eq!(may(&[("/etc/sudoers", line)], "bea", 1002, 1002), Sudo::NoPassword, "{line}");
        }
    }

    #[test]
    fn files_that_sudo_does_not_read_grant_nothing() {
        for name in ["/etc/sudoers.d/90.bak", "/etc/sudoers.d/90~"] {
            assert_eq!(may(&[(name, "bea ALL=(ALL) NOPASSWD: ALL\n")], "bea", 1002, 1002), Sudo::No, "{name}");
        }
    }
}
