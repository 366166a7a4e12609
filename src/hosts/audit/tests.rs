use super::{
    super::{FileFacts, Folder, GroupFacts, Shadow},
    *,
};

const MATEO: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKKcP2y/5a2l7tHypjWY3M9J+Ldx2Esoi6c/WLwnjknf";
const TOMAS: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFB+lXv0CvOxuk9KqBG+HjcN/uCtemYhtqucE+BbMaKU";
const WEAK: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQD4ueIe0vqrnq2wCiKdV4JpuT1FnFJkbnea7rdTP00PNUpZ3QzhtW5onHGN9IBytiotsFHBKmcG27BXUD4PUcztTotSmspW9b85AipRwAuwLNPnhSVx50O1r4Rw9QCU8vSUVqEy3M1NwYLpxTu7BzQ9dtyyEvtTAnmLxOU/dBXdiQ==";
const HASH: &str = "$6$rounds=656000$saltsaltsaltsalt$xJYjTXCYMyvnkMS0LKOuEYOCSr9Y7PJtbTxv8KkIqhJDYbqKdmAWvBcGtSBGGDwyvKOP4G5OmGR2Y4JKbDOr60";
const TODAY: i64 = 20_000;

/// A host as `infra` leaves it: an administrator, one person, sshd closed to passwords and root.
fn converged() -> (Facts, Expected) {
    let mut facts = Facts { system: ("debian".into(), "12".into()), ..Facts::default() };
    for (login, uid, home, shell) in [
        ("root", 0, "/root", "/bin/bash"),
        ("daemon", 1, "/usr/sbin", "/usr/sbin/nologin"),
        ("admin", 1000, "/home/admin", "/bin/bash"),
        ("mateo", 1001, "/home/mateo", "/bin/bash"),
    ] {
        add(&mut facts, login, uid, "!", &[]);
        let account = Account { uid, gid: uid, home: home.into(), shell: shell.into() };
        facts.accounts.insert(login.into(), account);
    }
    keys(&mut facts, "admin", &[&format!("{TOMAS} the administrator")]);
    keys(&mut facts, "mateo", &[&format!("{MATEO} mateo@laptop")]);
    facts.owned.insert(("host_user".into(), "mateo".into()), "here".into());
    let file = FileFacts {
        mode: "440".into(),
        owner: "root:root".into(),
        content: "admin ALL=(ALL) NOPASSWD:ALL\nmateo ALL=(ALL:ALL) NOPASSWD: ALL\n".into(),
    };
    facts.sudoers.insert("/etc/sudoers.d/90".into(), file);
    for (name, value) in [
        ("pubkeyauthentication", "yes"),
        ("passwordauthentication", "no"),
        ("kbdinteractiveauthentication", "no"),
        ("usepam", "yes"),
        ("permitrootlogin", "no"),
        ("permitemptypasswords", "no"),
        ("hostbasedauthentication", "no"),
        ("authorizedkeysfile", ".ssh/authorized_keys"),
        ("authorizedkeyscommand", "none"),
        ("trustedusercakeys", "none"),
    ] {
        facts.sshd.insert(name.into(), value.into());
        facts.sshd_user.insert(name.into(), value.into());
    }
    let mateo = ExpectedPerson { keys: BTreeSet::from([MATEO.to_owned()]), sudo: Sudo::NoPassword };
    let people = BTreeMap::from([("mateo".to_owned(), mateo)]);
    (facts, Expected { administrator: "admin".into(), people: Some(people) })
}

fn add(facts: &mut Facts, login: &str, uid: u32, hash: &str, lines: &[&str]) {
    let home = format!("/home/{login}");
    facts.accounts.insert(login.into(), Account { uid, gid: uid, home, shell: "/bin/bash".into() });
    facts.shadow.insert(login.into(), Shadow { hash: hash.into(), changed: Some(19_000), expires: None });
    if !lines.is_empty() {
        keys(facts, login, lines);
    }
}

fn keys(facts: &mut Facts, login: &str, lines: &[&str]) {
    let home = facts.accounts[login].home.clone();
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    let file = KeysFile { mode: "600".into(), owner: login.into(), lines };
    facts.keys.insert(format!("{home}/.ssh/authorized_keys"), file);
}

#[track_caller]
fn entrant<'a>(audit: &'a Audit, login: &str) -> &'a Entrant {
    audit.accounts.iter().find(|account| account.login == login).unwrap_or_else(|| panic!("no {login} in {audit:#?}"))
}

/// Everything unusual, of host and accounts.
fn unusual(facts: &Facts, expected: &Expected) -> Vec<String> {
    let audit = audit(facts, expected, TODAY);
    let of_accounts =
        audit.accounts.iter().flat_map(|it| it.unusual.iter().map(move |said| format!("{}: {said}", it.login)));
    let all: Vec<String> = audit.unusual.iter().cloned().chain(of_accounts).collect();
    assert_eq!(all.len(), audit.findings());
    all
}

#[track_caller]
fn finds(facts: &Facts, expected: &Expected, wanted: &[&str]) {
    let found = unusual(facts, expected);
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
    for (found, wanted) in found.iter().zip(wanted) {
        assert!(found.contains(wanted), "no {wanted:?} in {found:#?}");
    }
}

#[test]
fn a_host_as_infra_leaves_it_has_nothing_unusual() {
    let (facts, expected) = converged();
    finds(&facts, &expected, &[]);
    let audit = audit(&facts, &expected, TODAY);
    let who: Vec<_> = audit.accounts.iter().map(|it| (it.login.as_str(), it.whose, it.sudo)).collect();
    assert_eq!(
        who,
        [
            ("admin", Whose::Administrator, Sudo::NoPassword),
            ("root", Whose::Root, Sudo::NoPassword),
            ("mateo", Whose::Infra, Sudo::NoPassword),
        ],
        "accounts that nobody can enter are not listed"
    );
    let mateo = entrant(&audit, "mateo");
    assert_eq!(
        mateo.keys,
        [Key {
            fingerprint: Some(PublicKey::parse(MATEO).unwrap().fingerprint().to_owned()),
            algorithm: Some("ssh-ed25519".into()),
            restricted: false
        }]
    );
    assert_eq!(mateo.password, PasswordState { kind: HashKind::Locked, must_change: false, locked: false });
    let door = Door { password_login: Some(false), root_login: Some("no".into()), key_login: Some(true) };
    assert_eq!(audit.sshd, door);
    assert_eq!(audit.system, "debian 12");
}

#[test]
fn accounts_that_others_made_are_told() {
    let (mut facts, expected) = converged();
    add(&mut facts, "mallory", 1002, "*", &[TOMAS]);
    add(&mut facts, "eve", 1003, HASH, &[]);
    add(&mut facts, "toor", 0, "*", &[]);
    add(&mut facts, "backup", 34, "*", &[]);
    finds(
        &facts,
        &expected,
        &[
            "eve: infra did not make this account, and it has a password",
            "mallory: infra did not make this account, and it has a key",
            "toor: another root",
        ],
    );
}

#[test]
fn keys_are_compared_with_the_spec_and_judged() {
    let (mut facts, expected) = converged();
    keys(&mut facts, "mateo", &[MATEO, TOMAS, "command=\"/bin/true\" not a key"]);
    let tomas = PublicKey::parse(TOMAS).unwrap().fingerprint().to_owned();
    finds(&facts, &expected, &[&format!("{tomas} is not in the spec"), "a line that is no key is not in the spec"]);

    let (mut facts, expected) = converged();
    // One of the spec's with options is another one: it may do something else.
    for options in ["from=\"10.0.0.0/8\"", "no-pty,command=\"echo \\\"a b\\\" c\"", "restrict"] {
        keys(&mut facts, "mateo", &[&format!("{options} {MATEO} a comment")]);
        assert!(entrant(&audit(&facts, &expected, TODAY), "mateo").keys[0].restricted, "{options}");
        finds(&facts, &expected, &["is not in the spec"]);
    }

    let (mut facts, expected) = converged();
    keys(&mut facts, "admin", &[TOMAS, WEAK, &format!("cert-authority {MATEO}")]);
    finds(&facts, &expected, &["1024 bits is too weak", "cert-authority"]);

    for (folder, mode, owner) in
        [("/home/mateo/.ssh", "777", "mateo"), ("/home/mateo/.ssh", "700", "mallory"), ("/home/mateo", "775", "mateo")]
    {
        let (mut facts, expected) = converged();
        facts.folders.insert(folder.into(), Folder { mode: mode.into(), owner: owner.into() });
        finds(
            &facts,
            &expected,
            &[&format!("mateo: others can write its keys ({folder}: owner {owner}, mode {mode})")],
        );
    }

    let (mut facts, expected) = converged();
    for (mode, owner) in [("620", "mateo"), ("602", "mateo"), ("600", "mallory")] {
        let file = facts.keys.get_mut("/home/mateo/.ssh/authorized_keys").unwrap();
        (file.mode, file.owner) = (mode.into(), owner.into());
        finds(&facts, &expected, &["mateo: others can write its keys"]);
    }
}

#[test]
fn passwords_are_told_by_their_kind() {
    let (mut facts, expected) = converged();
    let mut set = |hash: &str, changed| {
        let shadow = facts.shadow.get_mut("mateo").unwrap();
        (shadow.hash, shadow.changed) = (hash.to_owned(), Some(changed));
        (entrant(&audit(&facts, &expected, TODAY), "mateo").password, unusual(&facts, &expected))
    };
    let sha512 = HashKind::Sha512 { rounds: 656_000 };
    assert_eq!(set(HASH, 19_000), (PasswordState { kind: sha512, must_change: false, locked: false }, vec![]));
    assert_eq!(set(HASH, 0).0, PasswordState { kind: sha512, must_change: true, locked: false });
    let locked = PasswordState { kind: HashKind::Locked, must_change: false, locked: true };
    assert_eq!(set(&format!("!{HASH}"), 0), (locked, vec![]));
    for none in ["*", "!", "!!", "!*"] {
        let password = PasswordState { kind: HashKind::Locked, must_change: false, locked: false };
        assert_eq!(set(none, 19_000), (password, vec![]), "{none}");
    }
    for (hash, said) in [
        ("saHyJ7XpVTdTk", "legacy one (DES)"),
        (SAMPLE_HASH, "sample of the original instructions"),
        ("$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", "legacy one (md5-crypt)"),
        ("", "no password is asked for"),
    ] {
        let (_, found) = set(hash, 19_000);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(said), "{found:?}");
        assert!(hash.is_empty() || !found[0].contains(hash), "the hash is shown: {found:?}");
    }
}

#[test]
fn those_who_left_are_told() {
    let (mut facts, mut expected) = converged();
    expected.people = Some(BTreeMap::new());
    finds(&facts, &expected, &["mateo: is not in the spec any more"]);
    facts.owned.insert(("host_user".into(), "mateo".into()), "gone".into());
    finds(&facts, &expected, &["mateo: left, and 1 key is still there", "mateo: left, and the account is open again"]);
    facts.keys.remove("/home/mateo/.ssh/authorized_keys");
    facts.shadow.get_mut("mateo").unwrap().expires = Some(1);
    finds(&facts, &expected, &[]);
    let audit = audit(&facts, &expected, TODAY);
    let mateo = entrant(&audit, "mateo");
    assert_eq!((mateo.whose, mateo.expired), (Whose::Departed, true));
}

#[test]
fn an_account_is_expired_from_its_day_on() {
    let (mut facts, expected) = converged();
    for (day, expired) in [(TODAY + 1, false), (TODAY, true), (TODAY - 1, true)] {
        facts.shadow.get_mut("mateo").unwrap().expires = Some(day);
        assert_eq!(entrant(&audit(&facts, &expected, TODAY), "mateo").expired, expired, "{day}");
    }
}

#[test]
fn sudo_beyond_the_spec_is_told() {
    let (facts, mut expected) = converged();
    for (sudo, found) in
        [(Sudo::NoPassword, None), (Sudo::Asks, Some("no password, not asks")), (Sudo::No, Some("no password, not no"))]
    {
        expected.people.as_mut().unwrap().get_mut("mateo").unwrap().sudo = sudo;
        finds(&facts, &expected, &found.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn what_sshd_lets_in_is_told() {
    for (options, said) in [
        (&[("passwordauthentication", "yes")][..], "PasswordAuthentication yes"),
        (&[("kbdinteractiveauthentication", "yes")], "KbdInteractiveAuthentication yes"),
        (&[("permitrootlogin", "without-password")], "PermitRootLogin without-password"),
        (&[("permitemptypasswords", "yes")], "PermitEmptyPasswords yes"),
        (&[("hostbasedauthentication", "yes")], "HostbasedAuthentication yes"),
        (&[("authorizedkeysfile", ".ssh/authorized_keys .ssh/authorized_keys2")], "AuthorizedKeysFile"),
        (&[("authorizedkeyscommand", "/usr/bin/ec2-keys")], "AuthorizedKeysCommand /usr/bin/ec2-keys"),
        (&[("trustedusercakeys", "/etc/ssh/ca.pub")], "TrustedUserCAKeys /etc/ssh/ca.pub"),
    ] {
        // Also where only a `Match` block says so.
        for block in [false, true] {
            let (mut facts, expected) = converged();
            for (name, value) in options {
                let told = if block { &mut facts.sshd_user } else { &mut facts.sshd };
                told.insert((*name).into(), (*value).into());
            }
            finds(&facts, &expected, &[said]);
        }
    }
    let (mut facts, expected) = converged();
    facts.sshd.insert("kbdinteractiveauthentication".into(), "yes".into());
    facts.sshd.insert("usepam".into(), "no".into());
    facts.sshd_user.insert("usepam".into(), "no".into());
    finds(&facts, &expected, &[]);
    let (mut facts, expected) = converged();
    for options in [&mut facts.sshd, &mut facts.sshd_user] {
        options.remove("kbdinteractiveauthentication");
        options.insert("challengeresponseauthentication".into(), "yes".into());
    }
    finds(&facts, &expected, &["by PAM"]);
    assert_eq!(audit(&facts, &expected, TODAY).sshd.password_login, Some(true));
    let (mut facts, expected) = converged();
    (facts.sshd, facts.sshd_user) = Default::default();
    finds(&facts, &expected, &["`sshd -T` fails"]);
}

#[test]
fn what_a_match_block_opens_for_one_person_is_told_with_the_name() {
    let (mut facts, expected) = converged();
    let mut of_mateo = facts.sshd_user.clone();
    of_mateo.insert("passwordauthentication".into(), "yes".into());
    of_mateo.insert("authorizedkeysfile".into(), "/etc/keys".into());
    facts.sshd_logins = BTreeMap::from([("root".into(), facts.sshd_user.clone()), ("mateo".into(), of_mateo)]);
    let wanted =
        ["sshd takes passwords for mateo (Pass", "elsewhere too for mateo, and", "(AuthorizedKeysFile /etc/keys)"];
    let found = unusual(&facts, &expected).join("; ");
    assert!(wanted.iter().all(|wanted| found.contains(wanted)), "{found}");
    assert_eq!(audit(&facts, &expected, TODAY).sshd.password_login, Some(true));
}

#[test]
fn a_match_block_that_is_read_before_our_file_is_told_whomever_it_is_about() {
    let (mut facts, expected) = converged();
    let mut file = |path: &str, content: &str| {
        let content = content.to_owned();
        facts.sshd_files.insert(path.into(), FileFacts { mode: "644".into(), owner: "root:root".into(), content });
        unusual(&facts, &expected)
    };
    let block = "Match Address 192.0.2.0/24\n  PasswordAuthentication yes\n";
    assert_eq!(file("/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n"), [""; 0]);
    let found = file("/etc/ssh/sshd_config.d/50-office.conf", block);
    assert!(found.len() == 1 && found[0].contains("/etc/ssh/sshd_config.d/50-office.conf"), "{found:?}");
    // Ours is read before it, and ends with a block of its own.
    assert_eq!(file("/etc/ssh/sshd_config.d/00-infra.conf", "Match all\n"), [""; 0]);
    let found = file("/etc/ssh/sshd_config.d/00-a.conf", block);
    assert!(found.len() == 1 && found[0].contains("00-a.conf"), "{found:?}");
    let first = "Include /etc/ssh/sshd_config.d/00-infra.conf\nInclude /etc/ssh/sshd_config.d/*.conf\n";
    assert_eq!(file("/etc/ssh/sshd_config", first), [""; 0]);
}

#[test]
fn root_with_keys_is_told_where_sshd_takes_them() {
    let (mut facts, expected) = converged();
    keys(&mut facts, "root", &[&format!("no-pty,command=\"echo log in as admin\" {TOMAS}")]);
    finds(&facts, &expected, &[]);
    facts.sshd_user.insert("permitrootlogin".into(), "prohibit-password".into());
    finds(&facts, &expected, &["root may log in itself", "root: 1 key opens root"]);
}

#[test]
fn groups_that_are_as_good_as_root_and_last_logins_are_told() {
    let (mut facts, expected) = converged();
    let docker = GroupFacts { gid: 999, members: BTreeSet::from(["mateo".to_owned()]) };
    facts.groups.insert("docker".into(), docker);
    facts.last_logins.insert("mateo".into(), "pts/0    203.0.113.7      Fri Nov 21 10:00:00 +0000 2025".into());
    facts.unconfirmed = true;
    finds(&facts, &expected, &["not confirmed"]);
    let audit = audit(&facts, &expected, TODAY);
    let mateo = entrant(&audit, "mateo");
    assert_eq!(mateo.rootlike_groups, ["docker"]);
    assert_eq!(mateo.last_login.as_deref(), Some("pts/0 203.0.113.7 Fri Nov 21 10:00:00 +0000 2025"));
    let json = serde_json::to_value(&audit).unwrap();
    assert_eq!(json["accounts"][2]["sudo"], "no_password");
    assert_eq!(json["accounts"][2]["password"]["kind"], "locked");
    assert!(!json.to_string().contains("saltsalt"));
}
