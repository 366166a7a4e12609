//! Each mistake with its place, its words and its hint.

use std::fs;

use super::*;

/// Checks one list after the other, each with exactly one mistake.
#[track_caller]
fn each(cases: &[(&str, &str)]) {
    let mut differences = Vec::new();
    for (users, expected) in cases {
        let folder = Folder::new(users);
        match &*folder.errors() {
            [error] if error.starts_with(&format!("users.txt:{expected}")) => {}
            errors => differences.push(format!("{users:?}\n  expected: {expected}\n  found: {errors:#?}")),
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn logins() {
    let long = "a".repeat(33);
    each(&[
        ("ana\n1ana", "2:1: `useradd` refuses the login `1ana` (it begins with a lower-case letter or `_`"),
        ("-ana", "1:1: `useradd` refuses the login `-ana`"),
        ("josé", "1:1: `useradd` refuses the login `josé`"),
        ("ana,", "1:1: `useradd` refuses the login `ana,` (write `ana`: names end with a blank or the line)"),
        ("Ana", "1:1: `useradd` refuses the login `Ana`: it has capital letters (did you mean `ana`?)"),
        (&long, "1:1: the login has 33 characters (32 at most)"),
        ("ana\n  bea\nana", "3:1: the login `ana` is there twice (remove one of the lines)"),
        ("ana\nbea\nANA", "3:1: the logins `ana` and `ANA` differ only in case"),
        ("root", "1:1: `root` is an account of the system's own (choose another login)"),
        ("  daemon", "1:3: `daemon` is an account"),
        ("nobody", "1:1: `nobody` is an account"),
        ("systemd-oom", "1:1: `systemd-oom` is an account"),
        ("sshd", "1:1: `sshd` is an account"),
        ("ec2-user", "1:1: `ec2-user` is an account"),
        ("hadoop", "1:1: `hadoop` is an account"),
        ("messagebus", "1:1: `messagebus` is an account"),
        ("www-data", "1:1: `www-data` is an account"),
        ("ubuntu", "1:1: `ubuntu` is the host's administrator, as whom `infra` itself comes in"),
    ]);
}

#[test]
fn a_service_s_account() {
    let folder = Folder::new("luigi key=ana.pub\n");
    assert_eq!(folder.people().len(), 1, "a name like another, where nothing has it");
    folder.spec("users: ../users.txt\n    services: { luigi: {} }");
    let expected = "users.txt:1:1: `luigi` is the account of the service that runs on the host (choose another login)";
    assert_eq!(folder.errors(), [expected]);
}

#[test]
fn what_means_something_to_a_shell() {
    each(&[
        ("ana;reboot", "1:4: `;`, which means something to a shell, cannot be in a login"),
        ("$(reboot)", "1:1: `$`, which"),
        ("a`id`", "1:2: ```, which"),
        ("ana|sh", "1:4: `|`, which"),
        ("ana&", "1:4: `&`, which"),
        ("a>b", "1:2: `>`, which"),
        ("a\"b", "1:2: `\"`, which"),
        ("a'b", "1:2: `'`, which"),
        ("a\\b", "1:2: `\\`, which"),
        ("*", "1:1: `*`, which"),
        (
            "ana#bea",
            "1:4: `#`, which means something to a shell, cannot be in a login (leave a blank before a comment)",
        ),
        ("../../root", "1:1: `.` cannot be in a login (a path cannot be here: write the name alone)"),
        ("keys/ana", "1:5: `/` cannot be in a login"),
        ("ana.maria", "1:4: `.` cannot be in a login (it begins with"),
        ("an\ra", "1:3: a control character (U+000D) cannot be in a login"),
        ("an\u{1b}[31ma", "1:3: a control character (U+001B) cannot be in a login"),
        ("ana\u{7f}", "1:4: a control character (U+007F) cannot be in a login"),
        ("ana\u{a0}bea", "1:1: `useradd` refuses the login"),
        ("ana\u{2028}", "1:1: `useradd` refuses the login `ana\u{fffd}`"),
        ("ana:x:1000", "1:4: `:` cannot be in a login (this is not the form of /etc/passwd or chpasswd"),
        ("ana groups=a;b", "1:13: `;`, which means something to a shell, cannot be in a group"),
        ("ana key=$(id).pub", "1:9: `$`, which means something to a shell, cannot be in a file's name here"),
        ("ana key=../ana.pub", "1:9: `..` cannot be in a file's name here"),
        ("ana password=@../secret", "1:15: `..` cannot be in a file's name here"),
        ("ana shell=/bin/sh;id", "1:11: `;` cannot be in the path of a shell (e.g. /bin/zsh)"),
    ]);
}

#[test]
fn fields() {
    let spaced = Folder::new("ana key = ana.pub").errors();
    let expected = "users.txt:1:5: after a login there are fields, such as `key=FILE`";
    assert_eq!(spaced[0], format!("{expected} (write `key=` and its value, without blanks)"));
    each(&[
        ("ana bea", "1:5: after a login there are fields, such as `key=FILE` (one login a line; the fields are `key`"),
        ("ana keys=ana.pub", "1:5: unknown field `keys` (did you mean `key`?)"),
        ("ana gruops=a", "1:5: unknown field `gruops` (did you mean `groups`?)"),
        ("ana passwd=none", "1:5: unknown field `passwd` (did you mean `password`?)"),
        (
            "ana home=/srv",
            "1:5: unknown field `home` (there is `key`, `groups`, `sudo`, `shell`, `password` and `expires`)",
        ),
        ("ana $x=1", "1:5: unknown field (there is"),
        ("ana sudo=no sudo=yes", "1:13: `sudo` is there twice (remove one)"),
        ("ana groups=a groups=b", "1:14: `groups` is there twice (write one, with commas between)"),
        ("ana shell=", "1:5: `shell` is empty (give it a value, or remove it)"),
        ("ana key=ana.pub,", "1:17: the name of a file is missing"),
        ("ana groups=a,,b", "1:14: the name of a group is missing"),
        ("ana groups=a,B", "1:14: `useradd` refuses the group `B`: it has capital letters (did you mean `b`?)"),
        ("ana groups=a,b,a", "1:16: the group `a` is there twice (remove one)"),
        ("ana groups=sudo", "1:12: the group `sudo` is as good as root (say it with `sudo=`, which a plan shows)"),
        ("ana sudo=true", "1:10: `sudo` cannot be `true` (write `yes`)"),
        ("ana sudo=nopaswd", "1:10: `sudo` cannot be `nopaswd` (did you mean `nopasswd`?)"),
        ("ana sudo=perhaps", "1:10: `sudo` cannot be `perhaps` (it can be `yes`, `no`, `password` or `nopasswd`)"),
        (
            "ana sudo=password",
            "1:10: `ana` has no password that sudo could ask for (give `password=`, or write `sudo=yes`",
        ),
        ("ana shell=zsh", "1:11: the shell `zsh` is not an absolute path (e.g. /bin/zsh)"),
        ("ana shell=/bin/../zsh", "1:11: `/bin/../zsh` is not the path of a shell"),
        ("ana expires=2027-02-30", "1:13: `2027-02-30` is no date (YEAR-MONTH-DAY, the first day"),
        ("ana expires=27-02-03", "1:13: `27-02-03` is no date"),
        ("ana expires=31/01/2027", "1:13: `31/01/2027` is no date"),
        ("ana expires=1970-01-01", "1:13: `1970-01-01` is no date"),
        ("ana expires=2027-01-31T00:00", "1:13: `2027-01-31T00:00` is no date"),
    ]);
}

#[test]
fn passwords() {
    let line = |value: &str| format!("ana password={value}");
    let digest = &HASH[HASH.len() - 86..];
    each(&[
        (
            &line("sa1O7Z1pCJzK."),
            "1:14: this is the sample hash of the original instructions: everybody who read them knows its password (it is the DES hash of `contraseña`",
        ),
        (&line("abJnggxhB/yWI"), "1:14: this is a DES hash, of 13 characters, which is guessed in hours"),
        (&line("$1$salt$abcdefghijklmnopqrstuv"), "1:14: this is an md5-crypt hash"),
        (&line("$5$salt$abc"), "1:14: this is a sha256-crypt hash"),
        (&line("$y$j9T$salt$abc"), "1:14: this hash is of a kind that not every host's crypt(3) knows"),
        (&line("$2b$12$abc"), "1:14: this hash is of a kind"),
        (&line(&format!("$6$rounds=1000$salt${digest}")), "1:14: 1000 rounds of sha512-crypt are too few"),
        (
            &line(&format!("$6$abcdefghijklmnopqrstuv${digest}")),
            "1:14: the salt of this hash has 22 characters (crypt(3) cuts a salt to 16",
        ),
        (&line("$6$salt$short"), "1:14: the last part of this sha512-crypt hash must have 86 characters"),
        (&line("$6$rounds=x$salt$short"), "1:14: this is not a sha512-crypt hash"),
        (&line("hunter2"), "1:14: a password itself must not be in this file (take another one"),
        (&line("!"), "1:14: this locks or opens an account, and is no hash (write `none` for no password)"),
        (&line("@nowhere"), "1:14: nowhere: there is no such file"),
        (&line("@"), "1:15: the name of a file is missing"),
        (&line("@keys"), "1:14: keys: is not a regular file"),
    ]);
    let file = |content: &str, mode: u32| {
        let folder = Folder::new("ana password=@secret");
        folder.write("secret", content);
        folder.mode("secret", mode);
        folder.errors()
    };
    let readable = file("correct horse battery\n", 0o640);
    assert_eq!(
        readable,
        ["users.txt:1:14: secret holds a password, and others can read it (mode 0640) (chmod 600 secret)"]
    );
    for (content, expected) in [
        ("", "secret: is empty"),
        ("one\ntwo\n", "secret: has more than one line"),
        ("a\tb\n", "secret will not do: the password has a control character"),
        ("sa1O7Z1pCJzK.\n", "this is the sample hash"),
        ("$1$salt$abcdefghijklmnopqrstuv\n", "this is an md5-crypt hash"),
        (&"x".repeat(600), "secret will not do: the password has 600 bytes"),
        (&"x".repeat(5000), "secret: is too large to hold one password"),
    ] {
        let errors = file(content, 0o600);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with(&format!("users.txt:1:14: {expected}")), "{errors:?}");
    }
    let folder = Folder::new("ana");
    folder.spec("users: { file: ../users.txt, password: ../hash }");
    assert!(
        folder.errors()[0].starts_with("infra/spec.yaml:6:44: hash: there is no such file"),
        "{:?}",
        folder.errors()
    );
    folder.write("hash", "sa1O7Z1pCJzK.");
    assert!(folder.errors()[0].starts_with("infra/spec.yaml:6:44: this is the sample hash"), "{:?}", folder.errors());
    folder.spec("users: { file: ../users.txt, change_password: true }");
    let errors = folder.errors();
    assert!(errors[0].starts_with("infra/spec.yaml:6:51: `change_password` finds no password to change"), "{errors:?}");
}

#[test]
fn files_of_keys() {
    let one = |content: &[u8], place: &str, expected: &str| {
        let folder = Folder::new("# people\nana\n");
        folder.write("keys/ana.pub", content);
        let errors = folder.errors();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with(&format!("{place}: {expected}")), "{errors:?}");
    };
    let at = "keys/ana.pub";
    one(b"", "users.txt:2:1", "keys/ana.pub holds no key (make one with `ssh-keygen -t ed25519`");
    one(b"# nothing\n\n", "users.txt:2:1", "keys/ana.pub holds no key");
    one(b"\xff\xfes\0s\0h\0", &format!("{at}:1:1"), "this file is not UTF-8 text");
    one(&vec![b'x'; 70_000], "users.txt:2:1", "keys/ana.pub: is too large; a key's file may have 64 KiB at most");
    one(b"hello world\n", &format!("{at}:1:1"), "this is not a public key as OpenSSH writes it");
    one(b"\n  ssh-dss AAAAB3NzaC1kc3MAAAAA ana\n", &format!("{at}:2:3"), "DSA keys are too weak");
    one(
        format!("{KEY}\n{}\n", &OTHER[..60]).as_bytes(),
        &format!("{at}:2:1"),
        "the text after `ssh-ed25519` is damaged",
    );
    one(format!("command=\"id\" {KEY}\n").as_bytes(), &format!("{at}:1:1"), "options before a key are not taken");
    one(b"ssh-ed25519-cert-v01@openssh.com AAAA\n", &format!("{at}:1:1"), "this is a certificate");
    one(
        b"\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz\n",
        &format!("{at}:2:1"),
        "this is a private key; a public one belongs here (move it to where only its owner can read it",
    );
    one(b"PuTTY-User-Key-File-3: ssh-ed25519\n", &format!("{at}:1:1"), "this is a private key");

    let folder = Folder::new("caro");
    let error = folder.errors().remove(0);
    assert!(
        error.starts_with(
            "users.txt:1:1: `caro` has no key: there is no file keys/caro.pub (put their public key there"
        ),
        "{error}"
    );
    let folder = Folder::new("caro key=caro.pub,ana.pub");
    let error = folder.errors().remove(0);
    assert!(error.starts_with("users.txt:1:10: there is no file keys/caro.pub, and no caro.pub (make one"), "{error}");
    fs::create_dir(folder.path("keys/caro.pub")).unwrap();
    let error = folder.errors().remove(0);
    assert!(error.starts_with("users.txt:1:10: keys/caro.pub: is a folder, not a file"), "{error}");
}

#[test]
fn weak_keys_that_ssh_keygen_makes() {
    let folder = Folder::new("ana");
    fs::remove_file(folder.path("keys/ana.pub")).unwrap();
    let status = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "rsa", "-b", "1024", "-N", "", "-f"])
        .arg(folder.path("keys/ana"))
        .status();
    assert!(status.expect("ssh-keygen runs").success());
    let errors = folder.errors();
    assert!(errors[0].starts_with("keys/ana.pub:1:1: an RSA key of 1024 bits is too weak"), "{errors:?}");
    // And the private half that it made beside it.
    fs::rename(folder.path("keys/ana"), folder.path("keys/ana.pub")).unwrap();
    let errors = folder.errors();
    assert!(errors[0].starts_with("keys/ana.pub:1:1: this is a private key"), "{errors:?}");
}

#[test]
fn the_list_itself() {
    let folder = Folder::new("");
    let fail = |folder: &Folder| folder.errors().remove(0);
    fs::remove_file(folder.path("users.txt")).unwrap();
    assert!(
        fail(&folder).starts_with("infra/spec.yaml:6:12: users.txt: there is no such file (it holds one login a line")
    );
    fs::create_dir(folder.path("users.txt")).unwrap();
    assert!(fail(&folder).starts_with("infra/spec.yaml:6:12: users.txt: is a folder"));
    let large = Folder::new("");
    fs::File::create(large.path("users.txt")).unwrap().set_len(100 * 1024 * 1024).unwrap();
    assert!(fail(&large).contains("users.txt: has 100 MiB; a list of users may have 1 MiB at most"));
    let many = (0..10_001).map(|at| format!("user{at} key=ana.pub\n")).collect::<Vec<_>>().concat();
    let errors = Folder::new(many).errors();
    assert_eq!(errors, ["users.txt:10001:1: the list has more than 10000 logins (is it the right file?)"]);
    let latin = Folder::new(b"ana\njos\xe9\n");
    assert!(fail(&latin).starts_with("users.txt:2:4: byte 7 (0xe9) is not valid UTF-8 (save the file as UTF-8)"));
    let nul = Folder::new("ana\nb\0b\n");
    assert!(fail(&nul).starts_with("users.txt:2:2: byte 5 is NUL"));
}

#[test]
fn all_mistakes_are_told_at_once_with_their_lines() {
    let folder = Folder::new("ana\nroot\nANA sudo=maybe\nbea groups=wheel,x shell=zsh # ok\ncaro\n");
    let shown = folder.bare(&folder.load().unwrap_err().to_string());
    insta::assert_snapshot!(shown);
}
