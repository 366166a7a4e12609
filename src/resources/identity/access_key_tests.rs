use std::os::unix::fs::PermissionsExt;

use super::*;

fn key(id: &str, created: i64) -> KeyObserved {
    KeyObserved { id: id.into(), active: true, created }
}

fn seen(keys: &[&str], files: &[(&str, &str)], orphans: &[&str]) -> KeysObserved {
    KeysObserved {
        keys: keys.iter().zip(1..).map(|(id, created)| key(id, created)).collect(),
        files: files.iter().map(|(file, id)| (PathBuf::from(file), (*id).to_owned())).collect(),
        orphans: orphans.iter().map(|id| (*id).to_owned()).collect(),
    }
}

fn fields(wanted: Option<&AccessKey>, seen: &KeysObserved) -> Vec<String> {
    let mut diff = Diff::default();
    compare(&mut diff, seen, wanted);
    diff.changes.iter().map(|change| format!("{} {} {}", change.field, change.from, change.to)).collect()
}

#[test]
fn what_is_planned_for_a_key() {
    let wanted = AccessKey { file: "f".into(), rotate: false };
    let rotating = AccessKey { rotate: true, ..wanted.clone() };
    let nothing: [&str; 0] = [];
    let check = |wanted: Option<&AccessKey>, seen: KeysObserved, expected: &[&str]| {
        assert_eq!(fields(wanted, &seen), expected, "{seen:?}");
    };
    let wants = Some(&wanted);
    check(None, seen(&[], &[], &[]), &nothing);
    check(None, seen(&["A"], &[], &[]), &[r#"access_key ["A"] null"#]);
    check(wants, seen(&[], &[], &[]), &[r#"access_key null ["a new key in f"]"#]);
    check(wants, seen(&[], &[("f", "gone")], &[]), &[r#"access_key null ["a new key in f"]"#]);
    check(wants, seen(&["A"], &[("f", "A")], &[]), &nothing);
    // The secret is on another machine, or lost: no difference, so that everybody's plans agree.
    check(wants, seen(&["A"], &[], &[]), &nothing);
    check(wants, seen(&["A"], &[("f", "gone")], &[]), &nothing);
    check(wants, seen(&["A", "B"], &[], &[]), &nothing);
    // A second key, made by hand, or by a rotation that died before it deleted the first.
    check(wants, seen(&["A", "B"], &[("f", "A")], &[]), &[r#"access_key ["A","B"] ["A"]"#]);
    check(wants, seen(&["A", "B"], &[("f", "B")], &[]), &[r#"access_key ["A","B"] ["B"]"#]);
    // This machine died before it wrote the secret.
    check(wants, seen(&["A"], &[], &["A"]), &[r#"access_key ["A"] ["a new key in f"]"#]);
    check(wants, seen(&["A", "B"], &[], &["B"]), &[r#"access_key ["A","B"] ["A"]"#]);
    check(wants, seen(&["A"], &[("g", "A")], &[]), &[r#"access_key.file "g" "f""#]);
    check(Some(&rotating), seen(&["A"], &[("f", "A")], &[]), &[r#"access_key ["A"] ["a new key in f"]"#]);
    let mut inactive = seen(&["A"], &[("f", "A")], &[]);
    inactive.keys[0].active = false;
    check(wants, inactive.clone(), &[r#"access_key.status "Inactive" "Active""#]);
    inactive.files.clear();
    check(wants, inactive, &[r#"access_key.status "Inactive" "Active""#]);
}

#[test]
fn a_marker_explains_only_a_key_of_its_time() {
    let marker = Marker { profile: "p".into(), at: 1_000_000, before: vec!["B".into()] };
    assert!(marker.explains(&key("A", 1_000_002)));
    assert!(marker.explains(&key("A", 999_990)), "clocks differ");
    assert!(!marker.explains(&key("B", 1_000_002)), "it was there before");
    assert!(!marker.explains(&key("A", 1_000_000 + 3600)));
    assert!(!marker.explains(&key("A", 1_000_000 - 3600)));
}

#[test]
fn files_are_private_whole_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deep/airflow.credentials");
    make_folder(&file).unwrap();
    // A crash left half a file behind.
    fs::write(beside(&file, "new"), "[s-u]\naws_access_key_id=HA").unwrap();
    write_secret(&file, b"[s-u]\naws_access_key_id=A\naws_secret_access_key=x\n").unwrap();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    let marker = Marker { profile: "s-u".into(), at: 7, before: Vec::new() };
    write_secret(&beside(&file, "pending"), serde_json::to_string(&marker).unwrap().as_bytes()).unwrap();
    let others = file.with_file_name("other.credentials");
    write_secret(&others, b"[s-v]\naws_access_key_id=B\n").unwrap();

    let (files, markers) = search(file.parent().unwrap(), "s-u").unwrap();
    assert_eq!(files, BTreeMap::from([(file.clone(), "A".to_owned())]));
    assert_eq!(markers.iter().map(|marker| marker.at).collect::<Vec<_>>(), [7]);
    forget(file.parent().unwrap(), "s-u").unwrap();
    assert_eq!(small_files(file.parent().unwrap()).unwrap(), [others]);
    assert!(search(Path::new("/nowhere/at/all"), "s-u").unwrap().0.is_empty());
}

#[test]
fn a_credentials_file_may_hold_several_users() {
    let text = "[a]\naws_access_key_id = ONE\n\n[b]\naws_secret_access_key=x\naws_access_key_id=TWO\n";
    assert_eq!(key_named(text, "a").as_deref(), Some("ONE"));
    assert_eq!(key_named(text, "b").as_deref(), Some("TWO"));
    assert_eq!(key_named(text, "c"), None);
}
