//! What to do where a host cannot be connected to.

use super::{At, ConnectError, ConnectFailure, Hosts, Place};

impl Hosts {
    /// What to do about a failed connection, a sentence each.
    pub fn advice(&self, error: &ConnectError) -> Vec<String> {
        let Some(place) = self.places().get(&error.host) else { return Vec::new() };
        match error.kind {
            ConnectFailure::ChangedKey => self.changed_key(place),
            ConnectFailure::UnknownKey => unknown_key(place),
            ConnectFailure::Refused => refused(place),
            ConnectFailure::Closed => closed(place),
            ConnectFailure::NoProgram => vec![no_program()],
            ConnectFailure::Silent => silent(place),
        }
    }

    fn changed_key(&self, place: &Place) -> Vec<String> {
        let name = &place.name;
        let endpoint = self.endpoint(name);
        let alias = endpoint.as_ref().map_or_else(|| name.clone(), |endpoint| endpoint.alias.clone());
        let address = endpoint.map_or_else(String::new, |endpoint| format!(" at {}", endpoint.address));
        let pins = self.files().known_hosts(&place.at);
        let pins = pins.display();
        match &place.at {
            At::Instance => vec![
                format!(
                    "an instance keeps its keys for as long as it lives: either another machine answers{address}, or \
                     somebody with root on {name} made new ones. Find out which before you go on; nothing was sent to it"
                ),
                format!(
                    "if you made them yourself, write them into {pins}, in the place of those of `{alias}`; an \
                     instance that is replaced gets an id and pins of its own"
                ),
            ],
            At::Server { host_key, .. } => vec![
                format!(
                    "either another machine answers{address}, or {name} was installed anew. Find out which before you \
                     go on; nothing was sent to it"
                ),
                match host_key {
                    Some(_) => format!(
                        "if it was, read its new key on its own console (`cat /etc/ssh/ssh_host_ed25519_key.pub`) and \
                         put it into the spec, as `host_key:` of {name}"
                    ),
                    None => format!(
                        "if it was, read its new key on its own console (`cat /etc/ssh/ssh_host_ed25519_key.pub`) and \
                         put it into the spec, as `host_key:` of {name}; the old one is in ~/.ssh/known_hosts or in \
                         {pins}, under `{alias}`"
                    ),
                },
            ],
        }
    }
}

fn unknown_key(place: &Place) -> Vec<String> {
    let name = &place.name;
    let first = "`--trust-first` believes it at the first meeting, and holds it to its key from then on";
    match place.at {
        At::Instance => vec![first.to_owned()],
        At::Server { .. } => vec![
            format!(
                "read its key on its own console (`cat /etc/ssh/ssh_host_ed25519_key.pub`) and put it into the \
                 spec, as `host_key:` of {name}"
            ),
            first.to_owned(),
        ],
    }
}

fn refused(place: &Place) -> Vec<String> {
    let Place { name, login, key, .. } = place;
    match key {
        Some(key) if !key.exists() => vec![format!(
            "the key of {name}'s administrator `{login}` is not on this machine: there is no file {}; copy it from where it \
             was made",
            key.display()
        )],
        Some(key) => vec![format!(
            "{name} was shown {} for its administrator `{login}`; if that key has a passphrase, `ssh-add` it first",
            key.display()
        )],
        None => vec![format!("{name} was shown what your ssh has for `{login}`; `ssh-add -l` lists it")],
    }
}

fn closed(place: &Place) -> Vec<String> {
    let Place { name, login, .. } = place;
    vec![format!("`chage -E -1 {login}`, as root on {name}'s console, opens its administrator's account again")]
}

fn no_program() -> String {
    "install OpenSSH's client: `apt-get install openssh-client`, `dnf install openssh-clients`; `ssh` must be on the PATH"
        .to_owned()
}

fn silent(place: &Place) -> Vec<String> {
    let name = &place.name;
    match (&place.at, &place.via) {
        (_, Some(via)) => vec![format!("is {via}, by which it is reached, up, and may it reach {name}?")],
        (At::Instance, None) => vec![format!(
            "is your address in `ssh_from` of {name}? Once it is in the spec, `infra --no-hosts apply` lets it in: that \
             needs no host"
        )],
        (At::Server { address, port, .. }, None) => {
            vec![format!("is it up, and does sshd listen at {address}:{port}?")]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_not_there_was_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("admin.key");
        let place = Place {
            name: "bastion".into(),
            login: "ubuntu".into(),
            via: None,
            key: Some(key.clone()),
            deletes_departed: false,
            at: At::Instance,
        };
        let advice = refused(&place);
        assert!(advice[0].contains("there is no file") && advice[0].contains("admin.key"), "{advice:?}");
        std::fs::write(key, "a key").unwrap();
        assert!(refused(&place)[0].contains("bastion was shown"), "{:?}", refused(&place));
    }
}
