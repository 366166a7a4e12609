//! Logging in, copying and looking around by the stack's names.

use crate::support::hosts::{Stack, feed};

#[test]
fn hosts_are_reached_by_the_names_of_the_stack() {
    let Some(stack) = Stack::both("ana\nbea sudo=no\n") else { return };
    let stack = stack.applied();
    let run = stack.local(&["ssh", "inner", "--", "id -un; hostname; exit 7"]).expect(7);
    let address = stack.project.output(&[], "instance/inner.private_ip").replace('.', "-");
    assert_eq!(run.out, format!("ubuntu\nip-{address}\n"));
    // As one of the people, with their own key, through the bastion too.
    let key = stack.project.path("people/bea");
    let key = key.to_str().expect("a path");
    let run = stack.local(&["ssh", "inner", "--as", "bea", "-i", key, "--", "id", "-un"]).expect(0);
    assert_eq!(run.out, "bea\n");
    let other = stack.project.path("people/ana");
    let run = stack.local(&["ssh", "inner", "--as", "bea", "-i", other.to_str().expect("a path"), "--", "true"]);
    assert_eq!(run.code, Some(255), "{run:?}");
    // Its input is the command's.
    let run = feed(&mut stack.project.command(None, &["--local", "ssh", "bastion", "--", "tr a-z A-Z"]), "through\n");
    assert_eq!(run.expect(0).out, "THROUGH\n");
    stack.project.write("a file", "words\n");
    stack.local(&["cp", "a file", "inner:copy"]).expect(0);
    assert_eq!(stack.root("inner", "cat /home/ubuntu/copy"), "words\n");
    stack.local(&["cp", "inner:copy", "back"]).expect(0);
    assert_eq!(stack.project.read("back"), "words\n");
}

#[test]
fn the_audit_tells_who_really_comes_in() {
    let Some(stack) = Stack::bastion("ana\nbea sudo=no\ncaro\n") else { return };
    let stack = stack.applied();
    stack.list("ana\nbea sudo=no\n");
    stack.apply().expect(0);
    let run = stack.local(&["users", "audit"]).expect(0);
    let row = |login: &str| {
        let line = run.out.lines().find(|line| line.split_whitespace().any(|word| word == login));
        line.unwrap_or_else(|| panic!("no {login} in\n{}", run.out)).to_owned()
    };
    assert!(
        run.out.starts_with("bastion (") && run.out.contains("sshd takes keys only, nobody comes in as root"),
        "{}",
        run.out
    );
    assert!(
        row("ana").contains("infra") && row("ana").contains("no password") && row("ana").contains("SHA256:"),
        "{}",
        run.out
    );
    assert!(row("caro").contains("departed") && !row("caro").contains("SHA256:"), "{}", run.out);
    assert!(row("ubuntu").contains("administrator"), "{}", run.out);
    assert!(!run.out.contains("!!"), "{}", run.out);
    // What somebody did by hand stands out.
    stack.key("thief");
    let thief = stack.public_key("thief");
    stack.root(
        "bastion",
        &format!(
            "echo '{thief}' >>/home/bea/.ssh/authorized_keys; useradd -m karl; echo 'karl:saFJMnQzbYVQ2' | chpasswd -e
            echo 'PermitRootLogin yes' >/etc/ssh/sshd_config.d/00-a.conf; rm /etc/ssh/sshd_config.d/00-infra.conf
            echo 'PasswordAuthentication yes' >>/etc/ssh/sshd_config.d/00-a.conf; systemctl reload ssh"
        ),
    );
    let audit = stack.local(&["users", "audit", "--json"]).expect(0).json();
    let audit = &audit["bastion"];
    let of = |login: &str| {
        let accounts = audit["accounts"].as_array().expect("accounts");
        let account = accounts.iter().find(|account| account["login"] == login);
        account.unwrap_or_else(|| panic!("no {login} in {audit}")).clone()
    };
    for login in ["bea", "karl"] {
        assert!(of(login)["unusual"].as_array().is_some_and(|unusual| !unusual.is_empty()), "{login}: {audit}");
    }
    assert!(of("ana")["unusual"].as_array().is_some_and(Vec::is_empty), "{audit}");
    assert!(audit["unusual"].as_array().is_some_and(|unusual| unusual.len() >= 2), "{audit}");
    assert!(!audit.to_string().contains("saFJMnQzbYVQ2"));
}
