use std::{
    io::Write,
    process::{Command, Stdio},
};

use super::*;

const VECTOR: &str =
    "$6$rounds=5000$saltsalt$JcVDtuB6d1BHhCd5RPBh8g8xX/1CbY8EU2PN0MTaj2/Mypw4P./C6dN4j0HALhzBDTocyW1Jm.gYaTPjFGCV40";

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

/// A program of this machine, given data on stdin so that no list of processes shows it.
fn piped(program: &str, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} failed");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// The machine's own crypt(3): what a login does.
fn crypt(password: &str, setting: &str) -> String {
    let script = "binmode STDIN; chomp($p = <STDIN>); chomp($s = <STDIN>); print crypt($p, $s)";
    piped("perl", &["-e", script], &format!("{password}\n{setting}\n"))
}

#[test]
fn the_published_vector_agrees() {
    assert!(verify(&secret("test"), VECTOR));
    assert!(!verify(&secret("tesu"), VECTOR));
    assert_eq!(crypt("test", VECTOR), VECTOR);
    assert_eq!(PasswordHash::parse(VECTOR).unwrap().rounds(), 5_000);
}

#[test]
fn the_machine_s_own_crypt_takes_our_hashes() {
    for password in ["correct horse battery staple", "contraseña", "a", "'\"$(id);\\ #:`"] {
        let hash = hash(&secret(password)).unwrap();
        assert!(hash.expose().starts_with("$6$rounds=656000$"), "{hash}");
        let salt = fields(hash.expose())[2];
        assert_eq!(salt.len(), 16, "crypt(3) cuts a longer one");
        assert_eq!(crypt(password, hash.expose()), hash.expose(), "crypt(3) must come to the same");
        assert!(verify(&secret(password), hash.expose()));
        assert!(!verify(&secret("another"), hash.expose()));
    }
    let (one, other) = (hash(&secret("same")).unwrap(), hash(&secret("same")).unwrap());
    assert_ne!(one, other, "each has a salt of its own");
}

#[test]
fn openssl_s_hashes_are_taken() {
    let made = piped("openssl", &["passwd", "-6", "-stdin"], "correct horse\n");
    assert!(PasswordHash::parse(&made).is_ok(), "{}", kind(&made));
    assert!(verify(&secret("correct horse"), &made));
    assert!(!verify(&secret("correct"), &made));
    let md5 = piped("openssl", &["passwd", "-1", "-stdin"], "correct horse\n");
    assert_eq!(kind(&md5), HashKind::Md5);
    assert!(!verify(&secret("correct horse"), &md5));
}

#[test]
fn the_sample_hash_is_what_is_said_of_it() {
    assert_eq!(crypt("contraseña", "sa"), SAMPLE_HASH);
    assert_eq!(crypt("contrase, or anything after it", SAMPLE_HASH), SAMPLE_HASH);
    assert_eq!(kind(SAMPLE_HASH), HashKind::Des);
    let refusal = PasswordHash::parse(SAMPLE_HASH).unwrap_err();
    assert!(refusal.message.contains("sample hash"), "{refusal:?}");
}

#[test]
fn kinds_are_told_apart() {
    for (field, expected, legacy) in [
        ("", "empty", true),
        ("*", "locked", false),
        ("!", "locked", false),
        ("!!", "locked", false),
        ("!$6$a$b", "locked", false),
        ("$6$saltsalt$abc", "sha512-crypt, 5000 rounds", false),
        ("$6$rounds=656000$saltsalt$abc", "sha512-crypt, 656000 rounds", false),
        ("$6$rounds=1000$saltsalt$abc", "sha512-crypt, 1000 rounds", true),
        ("$6$rounds=x$saltsalt$abc", "unknown", true),
        ("$5$saltsalt$abc", "sha256-crypt, 5000 rounds", false),
        ("$y$j9T$salt$abc", "yescrypt", false),
        ("$2b$12$abc", "bcrypt", false),
        ("$1$salt$abc", "md5-crypt", true),
        ("abJnggxhB/yWI", "DES", true),
        ("_J9..rasmBYk8r9AiWNc", "DES", true),
        ("$sha1$1$a$b", "unknown", true),
        ("hunter2", "unknown", true),
        ("$", "unknown", true),
    ] {
        assert_eq!((kind(field).to_string().as_str(), kind(field).is_legacy()), (expected, legacy), "{field}");
        assert_eq!(kind(field).opens(), !field.starts_with(['!', '*']));
    }
}

#[test]
fn what_is_not_well_formed_is_refused_without_being_repeated() {
    let digest = &VECTOR[VECTOR.len() - DIGEST..];
    for (hash, expected) in [
        (format!("$6$rounds=4999$salt${digest}"), "4999 rounds of sha512-crypt are too few"),
        (format!("$6$rounds=999999999$salt${digest}"), "would make every login take seconds"),
        (format!("$6$abcdefghijklmnopqrstuv${digest}"), "the salt of this hash has 22 characters"),
        (format!("$6$${digest}"), "the salt of this hash is malformed"),
        (format!("$6$sa:t${digest}"), "the salt of this hash is malformed"),
        (format!("$6$salt${}", &digest[1..]), "must have 86 characters"),
        (format!("$6$salt${}!", &digest[1..]), "must have 86 characters"),
        (format!("$6$salt${digest}$"), "malformed"),
        ("$6$".into(), "malformed"),
        ("$5$salt$abcdefgh".into(), "sha256-crypt"),
        ("$1$salt$abcdefgh".into(), "md5-crypt"),
        ("$y$j9T$abcdefgh$abc".into(), "not every host"),
        ("abcdefghABCDE".into(), "DES"),
        ("!".into(), "no hash"),
        ("hunter2".into(), "not a sha512-crypt hash"),
    ] {
        let refusal = PasswordHash::parse(&hash).unwrap_err();
        assert!(refusal.message.contains(expected), "{hash}: {refusal:?}");
        let told = format!("{refusal:?}");
        assert!(hash.len() < 4 || !told.contains(&hash), "{told}");
        assert!(!told.contains("abcdefgh") && !told.contains(digest), "{told}");
    }
}

#[test]
fn a_hash_shows_its_kind_and_nothing_else() {
    let hash = PasswordHash::parse(VECTOR).unwrap();
    assert_eq!(format!("{hash}"), "(sha512-crypt, 5000 rounds)");
    assert_eq!(format!("{hash:?}"), "(sha512-crypt, 5000 rounds)");
    assert_eq!(serde_json::to_string(&hash).unwrap(), "\"(sha512-crypt, 5000 rounds)\"");
    assert_eq!(serde_json::to_string(&HashKind::Sha512 { rounds: 9 }).unwrap(), "{\"sha512\":{\"rounds\":9}}");
    assert_eq!(serde_json::to_string(&HashKind::Locked).unwrap(), "\"locked\"");
}

#[test]
fn passwords_that_no_login_could_give_are_refused() {
    for (password, expected) in [
        (String::new(), "empty"),
        ("a\nb".into(), "control character"),
        ("a\0b".into(), "control character"),
        ("a".repeat(512), "512 bytes"),
    ] {
        let error = hash(&secret(&password)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    check(&secret(&"é".repeat(255))).unwrap();
}
