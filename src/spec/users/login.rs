//! Which logins and groups there may be.

use super::{
    super::{error::Diagnostic, model::Spanned},
    Reader,
    line::{part, quoted},
    system::{ROOT_GROUPS, SYSTEM_ACCOUNTS},
};

/// The longest name that `useradd` takes.
const LONGEST: usize = 32;

const RULE: &str =
    "it begins with a lower-case letter or `_` and has lower-case letters, digits, `-` and `_`, 32 at most";

/// Whether `useradd` takes a login or the name of a group: `^[a-z_][a-z0-9_-]*$`, 32 characters at most.
pub(in crate::spec) fn good_login(login: &str) -> bool {
    login.len() <= LONGEST
        && login.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && login.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}

/// Whether a character ends, starts or hides something for a shell.
pub(super) fn shell_meaning(letter: char) -> bool {
    letter.is_control() || "\\;&|<>()$`\"'*?[]{}!#~^".contains(letter)
}

/// What is wrong with a name that [`good_login`] does not take: the place within it in bytes, what, and what to do.
fn fault(name: &str, what: &str) -> (usize, usize, String, String) {
    let whole = |message: String, hint: String| (0, name.len(), message, hint);
    let lower = name.to_lowercase();
    if let Some((at, letter)) = name.char_indices().find(|(_, letter)| shell_meaning(*letter)) {
        let shown = match letter {
            letter if letter.is_control() => format!("a control character (U+{:04X})", u32::from(letter)),
            letter => format!("`{letter}`, which means something to a shell,"),
        };
        let hint = if letter == '#' { "leave a blank before a comment" } else { RULE };
        return (at, letter.len_utf8(), format!("{shown} cannot be in a {what}"), hint.to_owned());
    }
    if let Some(at) = name.find(['/', '.']) {
        let hint = if name.contains('/') { "a path cannot be here: write the name alone" } else { RULE };
        return (at, 1, format!("`{}` cannot be in a {what}", &name[at..=at]), hint.into());
    }
    if name.chars().count() > LONGEST {
        return whole(format!("the {what} has {} characters", name.chars().count()), format!("{LONGEST} at most"));
    }
    let message = format!("`useradd` refuses the {what} `{}`", quoted(name));
    if good_login(&lower) {
        return whole(format!("{message}: it has capital letters"), format!("did you mean `{lower}`?"));
    }
    let separated = name.trim_end_matches([',', ';', ':']);
    if good_login(separated) {
        return whole(message, format!("write `{separated}`: names end with a blank or the line"));
    }
    whole(message, RULE.to_owned())
}

impl Reader<'_, '_> {
    /// Whether a login may be: reports what is wrong with it. `first` is the same one, but for its case, further up.
    pub(super) fn check_login(&self, login: &Spanned<String>, first: Option<&Spanned<String>>) -> bool {
        let shown = quoted(login);
        let wrong = |error: Diagnostic| {
            self.report(error);
            false
        };
        if let Some(first) = first {
            let message = if first == login {
                format!("the login `{shown}` is there twice")
            } else {
                format!("the logins `{}` and `{shown}` differ only in case", quoted(first))
            };
            let error = Diagnostic::at(&login.span, message).related(&first.span, "first here");
            return wrong(error.hint("remove one of the lines"));
        }
        if let Some(colon) = login.value.find(':') {
            let place = part(&Spanned::new(&*login.value, login.span.clone()), colon, 1).span;
            let error = Diagnostic::at(&place, "`:` cannot be in a login");
            return wrong(error.hint(
                "this is not the form of /etc/passwd or chpasswd: write the login, and `password=` with a hash or @FILE",
            ));
        }
        if !good_login(login) {
            let (at, length, message, hint) = fault(login, "login");
            let place = part(&Spanned::new(&*login.value, login.span.clone()), at, length).span;
            return wrong(Diagnostic::at(&place, message).hint(hint));
        }
        if login.value == self.administrator {
            let message = format!("`{shown}` is the host's administrator, as whom `infra` itself comes in");
            return wrong(
                Diagnostic::at(&login.span, message).hint("choose another login; its key is in the spec's `keys`"),
            );
        }
        if let Some(service) = self.services.get(login.as_str()) {
            let message = format!("`{shown}` is the account of the service that runs on the host");
            let error = Diagnostic::at(&login.span, message).related(&service.span, "the service");
            return wrong(error.hint("choose another login"));
        }
        if login.starts_with("systemd-") || SYSTEM_ACCOUNTS.contains(&login.as_str()) {
            let error = Diagnostic::at(&login.span, format!("`{shown}` is an account of the system's own"));
            return wrong(error.hint("choose another login"));
        }
        true
    }

    /// The groups of a line; `None` where one cannot be.
    pub(super) fn groups(&self, value: Option<&Spanned<&str>>) -> Option<Vec<Spanned<String>>> {
        let mut groups: Vec<Spanned<String>> = Vec::new();
        let mut all = true;
        for group in value.into_iter().flat_map(super::line::items) {
            let shown = quoted(group.value);
            let error = if group.value.is_empty() {
                Some(Diagnostic::at(&group.span, "the name of a group is missing").hint("groups=first,second"))
            } else if !good_login(group.value) {
                let (at, length, message, hint) = fault(group.value, "group");
                Some(Diagnostic::at(&part(&group, at, length).span, message).hint(hint))
            } else if ROOT_GROUPS.contains(&group.value) {
                let error = Diagnostic::at(&group.span, format!("the group `{shown}` is as good as root"));
                Some(error.hint("say it with `sudo=`, which a plan shows"))
            } else {
                groups.iter().find(|other| other.value == group.value).map(|first| {
                    let error = Diagnostic::at(&group.span, format!("the group `{shown}` is there twice"));
                    error.related(&first.span, "first here").hint("remove one")
                })
            };
            all &= error.is_none();
            match error {
                Some(error) => self.report(error),
                None => groups.push(group.map(str::to_owned)),
            }
        }
        all.then_some(groups)
    }
}
