//! Any text is read or refused, and what is read is safe.

use proptest::prelude::*;

use super::*;

/// Reads a list and checks what must hold of every one.
fn safe(users: &[u8]) -> Result<(), TestCaseError> {
    let folder = Folder::new(users);
    match folder.load() {
        Ok(spec) => {
            let mut seen = std::collections::HashSet::new();
            for person in &spec.hosts["gate"].users.as_ref().unwrap().people {
                let login = person.login.value.as_str();
                // As `useradd` has it.
                let (first, rest) = login.split_at(1);
                prop_assert!(first.bytes().all(|c| c.is_ascii_lowercase() || c == b'_'), "{login}");
                prop_assert!(rest.bytes().all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_')), "{login}");
                prop_assert!(login.len() <= 32 && login != "root" && login != "ubuntu", "{login}");
                prop_assert!(seen.insert(login.to_owned()), "{login} twice");
                prop_assert!(!person.keys.is_empty());
                for key in &person.keys {
                    prop_assert!(!key.line().contains(['\n', '\r']));
                }
            }
        }
        Err(errors) => {
            errors.to_string();
            let text = String::from_utf8_lossy(users);
            let lines = text.trim_start_matches('\u{feff}').lines().count().max(1);
            for error in errors.errors() {
                let span = error.span.as_ref().expect("a place");
                prop_assert!(span.line >= 1 && span.column >= 1 && span.len >= 1, "{span}");
                if span.file.ends_with("users.txt") {
                    prop_assert!(span.line as usize <= lines, "{span}");
                }
                prop_assert!(error.hint.is_some(), "{error}");
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        safe(&bytes)?;
    }

    #[test]
    fn any_text(text in "\\PC{0,120}") {
        safe(text.as_bytes())?;
    }

    #[test]
    fn text_like_a_list(text in "([a-zA-Z_$;./-][a-z0-9_-]{0,6}|ana|bea|root|( |\t)(key|groups|sudo|shell|password|expires|x)=|ana\\.pub|bea\\.pub|,|yes|no|none|@|\\$6\\$|/bin/sh|2030-01-01|=|#|\r|\n|\n|\u{feff}){0,30}") {
        safe(text.as_bytes())?;
    }

    #[test]
    fn logins_that_are_accepted(logins in proptest::collection::vec("[a-z_][a-z0-9_-]{0,12}|[A-Za-z0-9_.-]{1,34}", 1..6)) {
        let list = logins.iter().map(|login| format!("{login} key=ana.pub\n")).collect::<Vec<_>>().concat();
        safe(list.as_bytes())?;
    }
}

#[test]
fn of_long_files_each_line_and_field_is_told_once() {
    let long = "the login has 1000000 characters";
    let cases = [
        ("a", 1, long),
        ("a\n", 10_001, "`a` has no key"),
        ("ana key=ana.pub\n", 10_000, "the login `ana` is there twice"),
        (",", 1, long),
        ("ana key=", 125_000, "there is no file"),
        ("=", 1, long),
        ("ana password=", 76_923, "a password itself must not be in this file"),
        ("\r", 1, "a control character (U+000D) cannot be in a login"),
        ("$6$", 1, "`$`, which means something to a shell, cannot be in a login"),
        ("ana groups=a,", 76_922, "`groups` is there twice"),
    ];
    for (piece, count, message) in cases {
        let refused = Folder::new(piece.repeat(1_000_000 / piece.len())).load().expect_err(piece);
        let first = refused.errors()[0].to_string();
        assert!(refused.errors().len() == count && first.contains(message), "{piece:?}: {first}");
    }
    for piece in [" ", "#"] {
        assert!(Folder::new(piece.repeat(1_000_000)).people().is_empty(), "{piece:?}");
    }
}

#[test]
fn five_hundred_people_are_read() {
    let list = (0..500).map(|at| format!("user{at} key=ana.pub\n")).collect::<Vec<_>>().concat();
    assert_eq!(Folder::new(list).people().len(), 500);
}
