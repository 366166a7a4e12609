//! `users.txt` and the keys of those whom it lists.
//!
//! One login a line, then fields separated by blanks; `#` begins a comment where a line or a word begins.
//!
//! ```text
//! ana
//! bea   key=bea-laptop.pub,bea-phone.pub groups=docker sudo=no
//! caro  password=@~/.secrets/caro shell=/bin/zsh expires=2027-01-31
//! ```
//!
//! A line may hold a password's hash, and someone will write the password itself: messages show lines of this file only
//! through [`line::masked`], and of a key's file only what begins like a public key.

mod fields;
mod keys;
mod line;
mod login;
mod passwords;
mod person;
mod system;

use std::{
    cell::RefCell,
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

pub(super) use login::good_login;
pub use person::{Password, Person, Sudo};

use super::{
    decode::Decoder,
    error::Diagnostic,
    model::{FilePath, Host, HostUsers, Service, Span, Spanned, Spec, Table},
    source::{MAX_BYTES, Source, read_bytes, small},
};
use fields::Fields;
use line::Line;

/// A list of more is refused: each has a key's file to be read, and a place in every plan.
const MOST_PEOPLE: usize = 10_000;

/// Today, as hosts count the days of an account.
pub(super) fn today() -> Date {
    Timestamp::now().to_zoned(TimeZone::UTC).date()
}

/// Reads the people of every host that has some into the spec, and reports what is wrong with them; returns the files'
/// texts, for showing their lines.
pub(super) fn read(decoder: &Decoder<'_>, spec: &mut Spec, today: Date) -> Vec<Arc<Source>> {
    let sources = RefCell::default();
    for host in spec.hosts.values_mut() {
        let Host { login, users, services, .. } = &mut host.value;
        if let Some(users) = users {
            let name = shown_path(&users.value.file.path);
            let users_read = &users.value;
            let reader =
                Reader { decoder, sources: &sources, users: users_read, administrator: &*login, services, today, name };
            users.value.people = reader.people();
        }
    }
    sources.into_inner()
}

/// Reads one host's `users.txt`.
struct Reader<'r, 'a> {
    decoder: &'r Decoder<'a>,
    sources: &'r RefCell<Vec<Arc<Source>>>,
    users: &'r HostUsers,
    administrator: &'r str,
    /// What runs on the host; each service has an account of its name.
    services: &'r Table<Service>,
    today: Date,
    /// The file, as messages name it.
    name: Arc<str>,
}

impl Reader<'_, '_> {
    /// Everybody who could be read.
    fn people(&self) -> Vec<Person> {
        let default = self.host_password();
        let Some(source) = self.list() else { return Vec::new() };
        let mut people = Vec::new();
        let mut seen: HashMap<String, Spanned<String>> = HashMap::new();
        let lines = source.lines().zip(1..).filter_map(|(line, number)| Line::read(line, &self.name, number));
        for (at, line) in lines.enumerate() {
            let login = line.login.clone();
            if at >= MOST_PEOPLE {
                let error = Diagnostic::at(&login.span, format!("the list has more than {MOST_PEOPLE} logins"));
                self.report(error.hint("is it the right file?"));
                break;
            }
            let first = seen.get(&login.to_lowercase());
            let good = self.check_login(&login, first);
            seen.entry(login.to_lowercase()).or_insert_with(|| login.clone());
            let fields = Fields::read(self.decoder, &line);
            people.extend(self.person(login, good, &fields, default.as_ref()));
        }
        self.check_all(&people, seen.is_empty());
        people
    }

    /// The text of the list.
    fn list(&self) -> Option<String> {
        let FilePath { path, .. } = &self.users.file.value;
        let bytes = match read_bytes(path, MAX_BYTES, "a list of users") {
            Ok(bytes) => bytes,
            Err(message) => {
                let error = Diagnostic::at(&self.users.file.span, format!("{}: {message}", self.name));
                self.report(error.hint("it holds one login a line; keys are beside it, in keys/LOGIN.pub"));
                return None;
            }
        };
        let (source, error) = match Source::from_bytes(Arc::clone(&self.name), bytes) {
            Ok(source) => (source, None),
            Err(refused) => (refused.0, Some(refused.1)),
        };
        let text = source.text;
        let masked: Vec<String> = text.lines().map(line::masked).collect();
        self.keep(Source { text: masked.join("\n"), ..source });
        let Some(error) = error else { return Some(text) };
        self.report(error);
        None
    }

    /// One person, where login, keys and all fields are right.
    fn person(
        &self,
        login: Spanned<String>,
        good: bool,
        fields: &Fields<'_>,
        default: Option<&Spanned<Password>>,
    ) -> Option<Person> {
        let keys = self.keys(good.then_some(&login), &login, fields.get("key"));
        let groups = self.groups(fields.get("groups"));
        let shell = self.shell(fields.get("shell"), &login.span);
        let expires = fields.get("expires").map(|expires| self.expires(expires, &login));
        let password = match fields.get("password") {
            Some(password) => self.line_password(password),
            None => default.map(|default| Spanned::new(default.value.clone(), login.span.clone())),
        };
        let sudo = self.sudo(fields.get("sudo"), &login, password.as_deref());
        let (groups, sudo) = (groups?, sudo?);
        if let Some(docker) = groups.iter().find(|group| group.value == "docker")
            && sudo.value == Sudo::No
        {
            let message = format!("`{}` may not use sudo, but the group docker is as good as root", login.value);
            self.decoder.note(&docker.span, message);
        }
        let expires = match expires {
            Some(date) => Some(date?),
            None => None,
        };
        let person = Person { login, keys: keys?, groups, sudo, shell: shell?, password: password?, expires };
        good.then_some(person)
    }

    /// What only the whole list shows.
    fn check_all(&self, people: &[Person], empty: bool) {
        if empty {
            let message = format!("{} lists nobody: whoever `infra` made on the host is locked out", self.name);
            self.decoder.note(&self.users.file.span, message);
        }
        let mut owners: HashMap<&str, &Person> = HashMap::new();
        for person in people {
            for key in &person.keys {
                match owners.get(key.material()) {
                    Some(other) => {
                        let (other, login) = (&other.login.value, &person.login.value);
                        let message =
                            format!("`{other}` and `{login}` have one key, so the host cannot tell them apart");
                        self.decoder.note(&key.span, message);
                    }
                    None => drop(owners.insert(key.material(), person)),
                }
            }
        }
        let change = &self.users.change_password;
        let read_whole = !people.is_empty() && self.users.password.is_none();
        if change.value && read_whole && !people.iter().any(|person| person.password.is_some()) {
            let error = Diagnostic::at(&change.span, "`change_password` finds no password to change");
            self.report(error.hint("name a `password` for all, or give some of them one in the list"));
        }
    }

    fn report(&self, error: Diagnostic) {
        self.decoder.report(error);
    }

    /// Keeps a file's text for showing its lines.
    fn keep(&self, source: Source) {
        let mut sources = self.sources.borrow_mut();
        if !sources.iter().any(|kept| kept.name == source.name) {
            sources.push(Arc::new(source));
        }
    }

    /// The folder of the list.
    fn folder(&self) -> &Path {
        self.users.file.path.parent().unwrap_or(Path::new(""))
    }
}

/// A path as a message names it: `infra/../users.txt` as `users.txt`, where that is the same file.
fn shown_path(path: &Path) -> Arc<str> {
    let mut short = PathBuf::new();
    for part in path.components() {
        let up = part.as_os_str() == "..";
        let named = short.file_name().is_some();
        if up && named {
            short.pop();
        } else if part.as_os_str() != "." {
            short.push(part);
        }
    }
    // A link among the folders would make it another.
    let folder = |path: &Path| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        folder.canonicalize().ok()
    };
    let same = folder(&short).is_some_and(|found| folder(path).as_ref() == Some(&found));
    if same { short.to_string_lossy().into() } else { path.to_string_lossy().into() }
}

/// The place of some characters of a file, from 1.
fn span(file: &Arc<str>, line: u32, column: usize, length: usize) -> Span {
    Span { file: Arc::clone(file), line, column: small(column), len: small(length).max(1) }
}
