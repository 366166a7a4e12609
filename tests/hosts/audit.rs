//! `infra users audit`.

use serde_json::Value;

use crate::support::hosts::Stack;

const SPOILED: &str = r"
useradd -m mallory && install -d -o mallory ~mallory/.ssh
install -o mallory -m 600 ~ubuntu/.ssh/authorized_keys ~mallory/.ssh/authorized_keys
useradd -m -p saHyJ7XpVTdTk legacy
printf 'mallory ALL=(ALL) NOPASSWD: ALL\n' >/etc/sudoers.d/99-mallory
";

#[test]
fn who_can_log_in_is_told_and_what_is_unusual_is_marked() {
    let Some(stack) = Stack::both("ana\n") else { return };
    let stack = stack.applied();
    let audit = stack.local(&["users", "audit", "inner"]).expect(0);
    assert!(
        audit.out.starts_with("inner (debian 12): sshd takes keys only, nobody comes in as root\n"),
        "{}",
        audit.out
    );
    assert!(audit.err.contains("Nothing unusual."), "{}", audit.err);
    let ana = ["--local", "ssh", "inner", "--as", "ana", "-i", "people/ana"];
    stack.project.on_terminal(80, &ana, "$ ", "exit\n").expect(0);
    stack.root("inner", SPOILED);
    let all = stack.local(&["users", "audit", "--json"]).expect(0).json();
    let audit = stack.local(&["users", "audit"]).expect(0);

    let accounts = |host: &str| all[host]["accounts"].as_array().expect("accounts").clone();
    let account = |login: &str| {
        let found = accounts("inner").into_iter().find(|account| account["login"] == login);
        found.unwrap_or_else(|| panic!("no {login} in {all:#}"))
    };
    let logins: Vec<Value> = accounts("bastion").into_iter().map(|account| account["login"].clone()).collect();
    assert_eq!(logins, ["ubuntu", "root", "ana"]);
    assert_eq!(all["bastion"]["sshd"]["password_login"], false);
    assert_eq!(all["bastion"]["findings"], 0);
    assert_eq!(
        (&account("ubuntu")["whose"], &account("ubuntu")["sudo"]),
        (&"administrator".into(), &"no_password".into())
    );
    let ana = account("ana");
    assert_eq!(
        (&ana["whose"], &ana["sudo"], &ana["password"]["kind"]),
        (&"infra".into(), &"no_password".into(), &"locked".into())
    );
    assert!(ana["last_login"].as_str().is_some_and(|told| told.contains("pts/")), "{ana:#}");
    let printed = std::process::Command::new("ssh-keygen").arg("-lf").arg(stack.project.path("keys/ana.pub")).output();
    let printed = String::from_utf8(printed.expect("ssh-keygen is installed").stdout).expect("UTF-8");
    assert!(printed.contains(ana["keys"][0]["fingerprint"].as_str().expect("a fingerprint")), "{printed}: {ana:#}");
    assert_eq!(account("mallory")["whose"], "other");
    assert_eq!(account("mallory")["sudo"], "no_password");
    assert_eq!(account("legacy")["password"]["kind"], "des");

    let marked: Vec<&str> = audit.out.lines().filter(|line| line.starts_with(" !!  ")).collect();
    assert_eq!(marked.len(), 2, "{}", audit.out);
    for text in [
        " !! mallory: infra did not make this account, and it has a key\n",
        " !! legacy: infra did not make this account, and it has a password\n",
        " !! legacy: its password's hash is a legacy one (DES), guessed fast\n",
        "LEGACY DES",
    ] {
        assert!(audit.out.contains(text), "no {text:?} in\n{}", audit.out);
    }
    assert!(audit.err.contains("3 things to look at."), "{}", audit.err);
    assert!(!format!("{all}{}{}", audit.out, audit.err).contains("saHyJ7XpVTdTk"), "a hash is shown");
}

#[test]
fn what_a_match_block_opens_for_one_person_is_told() {
    let Some(stack) = Stack::bastion("ana\nbea\n") else { return };
    let stack = stack.applied();
    let block = "Match User ana\\n  PasswordAuthentication yes\\n  AuthorizedKeysFile /etc/other_keys\\n";
    stack.root("bastion", &format!("printf '{block}' >/etc/ssh/sshd_config.d/00-ana.conf; systemctl reload ssh"));
    let audit = stack.local(&["users", "audit"]).expect(0);
    for text in [
        "sshd takes passwords for ana (PasswordAuthentication yes)",
        "keys come from elsewhere too for ana, and those are not listed here (AuthorizedKeysFile /etc/other_keys)",
        "(/etc/ssh/sshd_config.d/00-ana.conf)",
    ] {
        assert!(audit.out.contains(text), "no {text:?} in\n{}", audit.out);
    }
    assert!(!audit.out.contains("sshd takes keys only"), "{}", audit.out);
    let told = stack.local(&["users", "audit", "--json"]).expect(0).json();
    assert_eq!((&told["bastion"]["sshd"]["password_login"], &told["bastion"]["findings"]), (&true.into(), &3.into()));
    // Once ours is read before it, it opens nothing.
    stack.apply().expect(0);
    let audit = stack.local(&["users", "audit"]).expect(0);
    assert!(audit.err.contains("Nothing unusual."), "{}\n{}", audit.out, audit.err);
}
