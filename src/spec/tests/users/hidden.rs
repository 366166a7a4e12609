//! What no message, debug text or plan may show.

use super::*;

/// Everything that could be said of a spec.
fn told(folder: &Folder) -> String {
    match folder.load() {
        Ok(spec) => format!("{spec:?}"),
        Err(errors) => format!("{errors}\n{}\n{errors:?}", errors.render(true)),
    }
}

#[test]
fn a_password_is_in_no_message() {
    for line in [
        "ana password=hunter2",
        "ana password=hunter2 sudo=maybe",
        "ana pasword=hunter2",
        "ana hash=hunter2 sudo=maybe",
        "ana pw=hunter2",
        "ana secret=hunter2",
        "ana hunter2",
        "ana hunter2 sudo=maybe",
        "ana sudo=maybe hunter2",
        "ana = hunter2",
        "ana password = hunter2",
        "ana password: hunter2",
        "ana:hunter2",
        "ana:hunter2:1000:1000::/home/ana:/bin/sh",
        "root # hunter2",
        "ana password=\u{7}hunter2",
        "ana hunter2=x",
        "ana password=none password=hunter2",
    ] {
        let folder = Folder::new(line);
        assert!(folder.load().is_err(), "{line}");
        let told = told(&folder);
        assert!(!told.contains("hunter2") && !told.contains("unter"), "{line}:\n{told}");
    }
    let shown = Folder::new("ana password=hunter2 sudo=maybe").load().unwrap_err().to_string();
    assert!(shown.contains("users.txt:1:27\n"), "what is not shown has its place nevertheless:\n{shown}");
    let latin = Folder::new(b"ana password=hunter2 \xe9");
    assert!(!told(&latin).contains("hunter2"), "{}", told(&latin));
}

#[test]
fn a_hash_is_in_no_message_and_in_no_debug_text() {
    let digest = &HASH[HASH.len() - 86..];
    for line in
        [format!("ana password={HASH}"), format!("ana password={HASH} sudo=maybe"), format!("ana password={HASH}x")]
    {
        let folder = Folder::new(line);
        let told = told(&folder);
        assert!(!told.contains(&digest[..10]), "{told}");
    }
    let folder = Folder::new(format!("ana password={HASH} sudo=maybe"));
    let shown = folder.load().unwrap_err().to_string();
    assert!(shown.contains(&format!("password={} sudo=maybe", "*".repeat(HASH.len()))), "columns are kept:\n{shown}");
    let carets = shown.lines().find(|line| line.contains('^')).unwrap();
    let source = shown.lines().find(|line| line.contains("sudo=maybe")).unwrap();
    assert_eq!(carets.find('^'), source.find("maybe"));
}

#[test]
fn a_secret_file_is_in_no_message_and_in_no_debug_text() {
    let folder = Folder::new("ana password=@secret");
    for (content, mode) in
        [("hunter2 hunter2", 0o600), ("hunter2 hunter2", 0o644), ("hunter2\nhunter2", 0o600), ("hunter2\u{1}", 0o600)]
    {
        folder.write("secret", content);
        folder.mode("secret", mode);
        assert!(!told(&folder).contains("hunter2"), "{}", told(&folder));
    }
}

#[test]
fn a_private_key_is_in_no_message() {
    let body = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW";
    let private = format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n");
    let contents = [
        private.clone(),
        format!("{KEY}\n{private}"),
        // Its middle alone, and behind something that looks public.
        format!("{body}\n"),
        format!("{KEY}\n{body}\n"),
        format!("ssh-ed25519 {body}\n"),
        format!("ssh-{body}\n"),
        format!("command=\"{body}\" {KEY}\n"),
    ];
    for content in contents {
        let folder = Folder::new("ana");
        folder.write("keys/ana.pub", &content);
        assert!(folder.load().is_err(), "{content}");
        let told = told(&folder);
        assert!(!told.contains(&body[24..]), "{content}:\n{told}");
    }
}

#[test]
fn nothing_in_the_files_commands_the_terminal() {
    let folder =
        Folder::new("an\u{1b}]0;owned\u{7}a sudo=\u{1b}[31m groups=\u{202e}x shell=/\u{9b}31m expires=\u{1b}c\n");
    folder.write("keys/bea.pub", "ssh-\u{1b}[31m x\n");
    let shown = folder.load().unwrap_err().to_string();
    let bad: Vec<char> = shown.chars().filter(|c| c.is_control() && *c != '\n' || *c == '\u{202e}').collect();
    assert!(bad.is_empty(), "{bad:?} in {shown:?}");
}
