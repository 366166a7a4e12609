//! Which file is the spec.

use std::{fs, path::Path};

use super::super::find;

#[test]
fn the_only_spec_of_the_folder_is_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let infra = folder.path().join("infra");
    let fail = |folder: &Path, file: Option<&str>, variable| {
        find(folder, file.map(Path::new), variable).unwrap_err().to_string()
    };
    assert!(fail(&infra, None, None).contains("there is no folder"));
    fs::create_dir_all(infra.join("overlays")).unwrap();
    fs::write(infra.join("overlays/prod.yaml"), "").unwrap();
    fs::write(infra.join(".hidden.yaml"), "").unwrap();
    assert!(fail(&infra, None, None).contains("holds no spec"));
    fs::write(infra.join("one.yaml"), "").unwrap();
    assert_eq!(find(&infra, None, None).unwrap(), infra.join("one.yaml"));
    fs::write(infra.join("two.yml"), "").unwrap();
    let several = fail(&infra, None, None);
    assert!(
        several.contains("2 specs") && several.contains("one.yaml or -f ") && several.contains("two.yml"),
        "{several}"
    );
    assert_eq!(find(&infra, None, Some("two")).unwrap(), infra.join("two.yml"));
    assert_eq!(find(&infra, Some(Path::new("one")), Some("two")).unwrap(), infra.join("one.yaml"));
    let direct = infra.join("two.yml");
    assert_eq!(find(Path::new("nowhere"), Some(&direct), None).unwrap(), direct);
    assert!(fail(&infra, Some("three"), None).contains("there is no file three"));
    assert!(fail(&infra, None, Some("three")).contains("INFRA_SPEC"));
    let near = infra.join("onee.yaml");
    assert!(find(&infra, Some(&near), None).unwrap_err().to_string().contains("did you mean"));
}
