//! Passwords and hashes are in no list of processes, no log, no plan and no file that others can read.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use crate::support::hosts::{Stack, feed, until};

const SECRET: &str = "Quastenflosser-jongliert-9";
/// Something that is in an argument list, for the watchers to find.
const CANARY: &str = "canary-in-the-list";

/// Looks through all argument lists and environments of a host until a file appears; prints which words it saw. The words
/// come by standard input, so that the watcher does not see itself.
const WATCHER: &str = r#"
import glob, os, sys
words = [line.rstrip("\n").encode() for line in sys.stdin]
seen = set()
open("/run/watching", "w").close()
while not os.path.exists("/run/stop-watching"):
    for path in glob.glob("/proc/[0-9]*/cmdline") + glob.glob("/proc/[0-9]*/environ"):
        try:
            text = open(path, "rb").read()
        except OSError:
            continue
        seen |= {word for word in words if word in text}
for word in sorted(seen):
    print(word.decode())
"#;

/// The same on this machine.
fn watch(words: &[String], stop: &AtomicBool) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        for process in fs::read_dir("/proc").expect("a Linux").flatten() {
            for file in ["cmdline", "environ"] {
                let text = fs::read(process.path().join(file)).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                seen.extend(words.iter().filter(|word| text.contains(word.as_str())).cloned());
            }
        }
    }
    seen
}

/// All files below a folder that hold one of the words.
fn holding(folder: &Path, words: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the project").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, words));
        } else if let Ok(text) = fs::read(&path)
            && words.iter().any(|word| String::from_utf8_lossy(&text).contains(word.as_str()))
        {
            found.push(path.strip_prefix(folder).expect("below it").display().to_string());
        }
    }
    found
}

#[test]
fn secrets_are_seen_nowhere() {
    let Some(stack) = Stack::bastion("ana\n") else { return };
    let stack = stack.applied();
    let hash = feed(&mut stack.project.command(None, &["users", "hash", "--stdin"]), &format!("{SECRET}-too\n"));
    let hash = hash.expect(0).out.trim().to_owned();
    stack.key("bea");
    stack.key("caro");
    stack.project.write("bea.secret", SECRET);
    fs::set_permissions(stack.project.path("bea.secret"), PermissionsExt::from_mode(0o600)).expect("our own file");
    stack.project.write("users.txt", &format!("ana\nbea password=@bea.secret\ncaro password={hash}\n"));
    // Of the hash, what is no salt and no rounds: no masking could leave that in by chance.
    let digest = hash.rsplit('$').next().expect("a hash").to_owned();
    let words = vec![SECRET.to_owned(), digest.clone(), CANARY.to_owned()];

    let watcher = format!("cat >/run/watcher.py <<'END'\n{WATCHER}END\nrm -f /run/watching /run/stop-watching");
    stack.root("bastion", &watcher);
    let mut remote = stack.as_root("bastion");
    remote.args(["-c", "'exec python3 /run/watcher.py'"]);
    let stop = AtomicBool::new(false);
    let (there, here, outputs) = thread::scope(|scope| {
        let there = scope.spawn(|| feed(&mut remote, &format!("{}\n", words.join("\n"))));
        let here = scope.spawn(|| watch(&words, &stop));
        until("the watcher", Duration::from_secs(20), || {
            !stack.root("bastion", "ls /run/watching 2>/dev/null || true").is_empty()
        });
        let plan = stack.local(&["users", "plan", "-vv"]).expect(0);
        let json = stack.local(&["plan", "--json", "--out", "plan.json", "-vv"]).expect(0);
        let apply = stack.local(&["apply", "--yes", "--json", "-vv"]).expect(0);
        let again = stack.local(&["users", "apply", "--yes", "-vv"]).expect(0);
        // Both watchers must see what is there to be seen.
        stack.root("bastion", &format!("timeout 1 sh -c 'sleep 5; :' {CANARY} || true"));
        let mut seen = std::process::Command::new("sh");
        let _ = seen.args(["-c", "sleep 1; :", CANARY]).stdin(Stdio::null()).status();
        stack.root("bastion", "touch /run/stop-watching");
        stop.store(true, Ordering::Relaxed);
        (there.join().expect("no panic").expect(0), here.join().expect("no panic"), [plan, json, apply, again])
    });
    assert_eq!(there.out, format!("{CANARY}\n"), "seen among the host's processes");
    assert_eq!(here, BTreeSet::from([CANARY.to_owned()]), "seen among this machine's processes");
    for run in outputs {
        for word in [SECRET, &digest] {
            assert!(!run.out.contains(word) && !run.err.contains(word), "{word} is in\n{}\n{}", run.out, run.err);
        }
    }
    // In the project only where the user put them.
    assert_eq!(
        holding(stack.project.folder(), &words).into_iter().collect::<BTreeSet<_>>(),
        BTreeSet::from(["bea.secret".to_owned(), "users.txt".to_owned()])
    );
    // On the host in /etc/shadow and its backup alone; our own temporary files are gone.
    let find = format!(
        "cat >/run/words <<'END'\n{SECRET}\n{digest}\nEND\ngrep -rlF -f /run/words /etc /var /home /root /tmp /run --exclude=words 2>/dev/null || true"
    );
    let holding = stack.root("bastion", &find);
    assert!(
        holding.lines().all(|path| ["/etc/shadow", "/etc/shadow-"].contains(&path)) && !holding.is_empty(),
        "{holding}"
    );
    assert_eq!(stack.root("bastion", "ls -d /run/infra.* 2>/dev/null || true"), "");
}
