//! `users.txt` and keys, read with a spec from a real folder.

mod bad;
mod hidden;
mod hostile;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};

use super::super::{
    users::{Password, Person, Sudo},
    *,
};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP9tILaNgFedy574AZkaVUGmAuvF0mSuvlwkdb6qlFmj";
const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";
const THIRD: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";
/// sha512-crypt of `test`.
const HASH: &str =
    "$6$rounds=656000$saltsalt$JcVDtuB6d1BHhCd5RPBh8g8xX/1CbY8EU2PN0MTaj2/Mypw4P./C6dN4j0HALhzBDTocyW1Jm.gYaTPjFGCV40";

/// A project in a folder of its own: a spec of one server, its users, and two keys.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(users: impl AsRef<[u8]>) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::create_dir(folder.path("infra")).unwrap();
        fs::create_dir(folder.path("keys")).unwrap();
        folder.spec("users: ../users.txt");
        folder.write("users.txt", users);
        folder.write("keys/ana.pub", format!("{KEY} ana@laptop\n"));
        folder.write("keys/bea.pub", format!("{OTHER}\n"));
        folder
    }

    /// Writes the spec anew, with this for its host.
    fn spec(&self, users: &str) {
        let text =
            format!("stack: ab\nregion: us-east-1\nhosts:\n  gate:\n    address: gate.example.org\n    {users}\n");
        self.write("infra/spec.yaml", text);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn load(&self) -> Result<Spec, SpecErrors> {
        let home = self.0.path().to_string_lossy().into_owned();
        let env = move |name: &str| (name == "HOME").then(|| home.clone());
        load(&self.path("infra/spec.yaml"), &LoadOptions { env: Box::new(env), ..LoadOptions::default() })
    }

    /// A text without the folder's own path.
    fn bare(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }

    fn people(&self) -> Vec<Person> {
        self.spec_and_people().1
    }

    fn spec_and_people(&self) -> (Spec, Vec<Person>) {
        let spec = self.load().unwrap_or_else(|errors| panic!("{errors}"));
        let people = spec.hosts["gate"].users.as_ref().unwrap().people.clone();
        (spec, people)
    }

    fn errors(&self) -> Vec<String> {
        let errors = self.load().expect_err("it should have mistakes");
        errors.errors().iter().map(|error| self.bare(&error.to_string())).collect()
    }

    fn notes(&self) -> Vec<String> {
        let spec = self.load().unwrap_or_else(|errors| panic!("{errors}"));
        spec.notes.iter().map(|note| self.bare(&format!("{}: {}", note.span, note.message))).collect()
    }
}

#[test]
fn a_login_alone_is_a_person_with_the_defaults() {
    let folder = Folder::new("\u{feff}# people\r\n\r\n  \t\r\nana\r\n\tbea # the second\r\n");
    let people = folder.people();
    let [ana, bea] = &*people else { panic!("{people:?}") };
    assert_eq!((ana.login.value.as_str(), bea.login.value.as_str()), ("ana", "bea"));
    assert_eq!(folder.bare(&ana.login.span.to_string()), "users.txt:4:1");
    assert_eq!(folder.bare(&bea.login.span.to_string()), "users.txt:5:2");
    assert_eq!(ana.keys.len(), 1);
    assert_eq!(ana.keys[0].line(), format!("{KEY} ana@laptop"));
    assert_eq!(folder.bare(&ana.keys[0].span.to_string()), "keys/ana.pub:1:1");
    assert!(ana.groups.is_empty() && ana.expires.is_none());
    assert_eq!(ana.password.value, Password::None);
    assert_eq!(ana.shell.value, "/bin/bash");
    assert_eq!(ana.sudo.value, Sudo::NoPassword, "without a password it could not answer sudo's question");
}

#[test]
fn every_field_is_read() {
    let folder = Folder::new(format!(
        "ana groups=docker,_data-1 sudo=password shell=/usr/bin/zsh password={HASH} expires=2999-01-31\n\
         bea key=bea.pub,phones/b.pub,more.pub,~/home.pub sudo=no password=@secrets/bea\n"
    ));
    fs::create_dir(folder.path("keys/phones")).unwrap();
    fs::create_dir(folder.path("secrets")).unwrap();
    folder.write("keys/phones/b.pub", format!("# two in one\n\n{THIRD} phone\n  {OTHER} the same as the first\n"));
    folder.write("more.pub", format!("{KEY}\r\n"));
    folder.write("home.pub", format!("{KEY} again"));
    folder.write("secrets/bea", "correct horse battery staple\n");
    folder.mode("secrets/bea", 0o600);
    let people = folder.people();
    let [ana, bea] = &*people else { panic!("{people:?}") };
    let groups: Vec<_> = ana.groups.iter().map(|group| (group.value.as_str(), group.span.column)).collect();
    assert_eq!(groups, [("docker", 12), ("_data-1", 19)]);
    assert_eq!((ana.sudo.value, ana.shell.value.as_str()), (Sudo::Password, "/usr/bin/zsh"));
    let Password::Hash(hash) = &ana.password.value else { panic!() };
    assert_eq!(hash.expose(), HASH);
    assert_eq!(ana.expires.as_ref().unwrap().value, jiff::civil::date(2999, 1, 31));
    let keys: Vec<_> = bea.keys.iter().map(|key| (key.material(), folder.bare(&key.span.place()))).collect();
    let expected = [(OTHER, "keys/bea.pub:1"), (THIRD, "keys/phones/b.pub:3"), (KEY, "more.pub:1")];
    assert_eq!(keys, expected.map(|(key, place)| (key, place.to_owned())), "each once, where it was first");
    assert_eq!(bea.sudo.value, Sudo::No);
    let Password::Secret(secret) = &bea.password.value else { panic!() };
    assert_eq!(secret.expose_secret(), "correct horse battery staple");
    assert_eq!(bea.password.value, Password::Secret(SecretString::from("correct horse battery staple")));
}

#[test]
fn sudo_asks_those_who_have_a_password_and_only_them() {
    let lines = format!("ana password={HASH}\nbea\n");
    let sudo = |users: &str, lines: &str| {
        let folder = Folder::new(lines);
        folder.spec(users);
        folder.write("hash", format!("{HASH}\n"));
        folder.people().iter().map(|person| person.sudo.value).collect::<Vec<_>>()
    };
    let host = |more: &str| format!("users: {{ file: ../users.txt{more} }}");
    assert_eq!(sudo(&host(""), &lines), [Sudo::Password, Sudo::NoPassword]);
    assert_eq!(sudo(&host(", password: ../hash"), &lines), [Sudo::Password, Sudo::Password]);
    assert_eq!(sudo(&host(", sudo: false"), &lines), [Sudo::No, Sudo::No]);
    let lines = format!("ana password={HASH} sudo=nopasswd\nbea password=none sudo=yes\n");
    assert_eq!(sudo(&host(", password: ../hash, sudo: false"), &lines), [Sudo::NoPassword, Sudo::NoPassword]);
}

#[test]
fn one_password_for_all_is_for_those_whose_line_names_none() {
    let folder = Folder::new("ana\nbea password=none\n");
    folder.spec("users: { file: ../users.txt, password: ../hash, change_password: true }");
    folder.write("hash", format!("{HASH}\n"));
    let (spec, people) = folder.spec_and_people();
    assert!(matches!(&people[0].password.value, Password::Hash(hash) if hash.expose() == HASH));
    assert_eq!(people[1].password.value, Password::None);
    assert!(spec.hosts["gate"].users.as_ref().unwrap().change_password.value);
    folder.write("hash", "correct horse battery staple");
    folder.mode("hash", 0o600);
    assert!(matches!(&folder.people()[0].password.value, Password::Secret(_)));
}

#[test]
fn hosts_may_share_a_list_and_each_has_its_own_administrator() {
    let folder = Folder::new("ana\nbea\n");
    let host = |login: &str| format!("{{ address: x.example.org, login: {login}, users: ../users.txt }}");
    let spec = |one: &str, two: &str| {
        let text = format!("stack: ab\nregion: us-east-1\nhosts:\n  one: {}\n  two: {}\n", host(one), host(two));
        folder.write("infra/spec.yaml", text);
    };
    spec("ubuntu", "chief");
    let spec_read = folder.load().unwrap();
    for host in ["one", "two"] {
        assert_eq!(spec_read.hosts[host].users.as_ref().unwrap().people.len(), 2);
    }
    spec("ubuntu", "bea");
    let errors = folder.errors();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("users.txt:2:1: `bea` is the host's administrator"), "{errors:?}");
}

#[test]
fn mistakes_of_the_list_stand_beside_those_of_the_spec() {
    let folder = Folder::new("ana\nroot\n");
    folder.spec("users: ../users.txt\n    prot: 22");
    let errors = folder.errors();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with("infra/spec.yaml:7:5: unknown field `prot`"), "{errors:?}");
    assert!(errors[1].starts_with("users.txt:2:1: `root` is an account of the system's own"), "{errors:?}");
    // From text alone, no files are looked for.
    let text = fs::read_to_string(folder.path("infra/spec.yaml")).unwrap().replace("    prot: 22\n", "");
    let spec = load_str("nowhere/spec.yaml", &text, &LoadOptions::default()).unwrap();
    assert!(spec.hosts["gate"].users.as_ref().unwrap().people.is_empty());
}

#[test]
fn what_is_allowed_but_worth_saying_is_noted() {
    let weak = "$6$saltsalt$JcVDtuB6d1BHhCd5RPBh8g8xX/1CbY8EU2PN0MTaj2/Mypw4P./C6dN4j0HALhzBDTocyW1Jm.gYaTPjFGCV40";
    let folder = Folder::new(format!(
        "ana expires=2020-01-31\nbea key=ana.pub sudo=no groups=docker\ncaro key=bea.pub password={weak}\n\
         dora key=dora.pub password=@short\n"
    ));
    folder.write("keys/dora.pub", THIRD);
    folder.write("short", "hunter2");
    folder.mode("short", 0o400);
    let expected = [
        "keys/ana.pub:1:1: `ana` and `bea` have one key, so the host cannot tell them apart",
        "users.txt:1:13: the account of `ana` has been closed since 2020-01-31",
        "users.txt:2:32: `bea` may not use sudo, but the group docker is as good as root",
        "users.txt:3:27: 5000 rounds make this hash faster to guess than 656000; `infra users hash` makes a slower one",
        "users.txt:4:28: the password in short has fewer than 12 characters",
    ];
    assert_eq!(folder.notes(), expected);
    // Once each, however many hosts have the list.
    folder.spec("users: ../users.txt\n  inner:\n    address: inner.example.org\n    users: ../users.txt");
    assert_eq!(folder.notes(), expected);
    let folder = Folder::new("# nobody yet\n");
    let notes = folder.notes();
    assert_eq!(notes, ["infra/spec.yaml:6:12: users.txt lists nobody: whoever `infra` made on the host is locked out"]);
}

#[test]
fn the_shipped_people_are_read() {
    let spec =
        load(Path::new("infra/nyc311.yaml"), &LoadOptions::default()).unwrap_or_else(|errors| panic!("{errors}"));
    for host in ["bastion", "processing"] {
        let people = &spec.hosts[host].users.as_ref().unwrap().people;
        let logins: Vec<_> = people.iter().map(|person| person.login.value.as_str()).collect();
        assert_eq!(logins, ["valentina", "mateo", "ximena", "tomas"]);
        assert_eq!(&*people[0].login.span.file, "users.txt", "not infra/../users.txt");
        assert_eq!((people[0].sudo.value, people[3].sudo.value), (Sudo::NoPassword, Sudo::No));
    }
}
