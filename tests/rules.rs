//! Who may know whom: the rules of ARCHITECTURE.md, checked by reading the sources.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::support::cli::root;

/// A source file: its path in the checkout, and its text without comments and without its tests.
struct Source {
    path: String,
    code: String,
}

impl Source {
    /// Whether the file lies in one of `rooms`: folders that end in `/`, or files.
    fn is_in(&self, rooms: &[&str]) -> bool {
        rooms.iter().any(|room| if room.ends_with('/') { self.path.starts_with(room) } else { self.path == *room })
    }

    /// The lines that contain one of `words`, as `path:line: text`.
    fn lines_with(&self, words: &[&str]) -> Vec<String> {
        let hit = |line: &&str| words.iter().any(|word| line.contains(word));
        self.code.lines().filter(hit).map(|line| format!("{}: {}", self.path, line.trim())).collect()
    }
}

/// All Rust sources under `folder`, tests of units left out.
fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    for path in rust_files(&root().join(folder)) {
        let name = relative(&path);
        let is_test = name.contains("/tests/") || name.ends_with("_tests.rs") || name.ends_with("/tests.rs");
        if is_test {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a source file");
        // Unit tests stand at the end of their file.
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
        let code = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
        found.push(Source { path: name, code });
    }
    assert!(!found.is_empty(), "there are no sources in {folder}");
    found
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of the checkout") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).expect("a file of the checkout").to_string_lossy().replace('\\', "/")
}

/// Insists that `words` stand nowhere in `src/` but in `rooms`.
#[track_caller]
fn only_in(words: &[&str], rooms: &[&str]) {
    let found: Vec<String> = sources("src")
        .iter()
        .filter(|source| !source.is_in(rooms))
        .flat_map(|source| source.lines_with(words))
        .collect();
    assert!(found.is_empty(), "{words:?} belong in {rooms:?} only:\n{}", found.join("\n"));
}

#[test]
fn aws_is_known_to_cloud_and_resources_and_the_verbs_on_top_of_them() {
    only_in(
        &["aws_sdk_", "aws_config::", "aws_types::", "aws_smithy_", "aws_credential_types::"],
        // The log's filter names the SDK's loggers.
        &["src/cloud/", "src/resources/", "src/cluster/", "src/pipeline/", "src/logging.rs"],
    );
}

#[test]
fn yaml_is_known_to_spec() {
    only_in(&["saphyr", "yaml_serde", "serde_yaml"], &["src/spec/"]);
}

#[test]
fn only_ui_prints() {
    only_in(
        &[
            "println!",
            "eprintln!",
            "print!(",
            "eprint!(",
            "dbg!(",
            "io::stdout()",
            "io::stderr()",
            "anstream",
            "owo_colors",
            "indicatif",
        ],
        &["src/ui/"],
    );
}

#[test]
fn processes_are_started_in_four_rooms() {
    only_in(&["process::Command", "Command::new("], &["src/hosts/", "src/tunnel/", "src/pipeline/", "src/local/"]);
}

#[test]
fn each_room_knows_only_those_below_it() {
    // What a room may not name, of ours.
    const RULES: &[(&str, &[&str])] = &[
        (
            "src/ui/",
            &[
                "spec",
                "stacks",
                "resources",
                "cloud",
                "hosts",
                "cluster",
                "tunnel",
                "pipeline",
                "local",
                "commands",
                "workspace",
                "error",
            ],
        ),
        (
            "src/spec/",
            &[
                "stacks",
                "resources",
                "cloud",
                "hosts",
                "cluster",
                "tunnel",
                "pipeline",
                "local",
                "commands",
                "workspace",
                "ui",
            ],
        ),
        (
            "src/cloud/",
            &["spec", "stacks", "resources", "cluster", "tunnel", "pipeline", "local", "commands", "workspace", "ui"],
        ),
        (
            "src/resources/",
            &["spec", "stacks", "cluster", "tunnel", "pipeline", "local", "commands", "workspace", "ui"],
        ),
        ("src/stacks/", &["cluster", "tunnel", "pipeline", "local", "commands", "workspace", "ui"]),
        (
            "src/hosts/",
            &["spec", "stacks", "resources", "cloud", "cluster", "tunnel", "pipeline", "local", "commands", "ui"],
        ),
        ("src/cluster/", &["tunnel", "pipeline", "local", "commands", "workspace", "ui"]),
        ("src/local/", &["spec", "stacks", "resources", "hosts", "cluster", "tunnel", "pipeline", "commands"]),
    ];
    let sources = sources("src");
    for (room, strangers) in RULES {
        let mut found = Vec::new();
        for source in sources.iter().filter(|source| source.is_in(&[room])) {
            for named in named_rooms(&source.code) {
                if strangers.contains(&named.as_str()) {
                    found.push(format!("{} names crate::{named}", source.path));
                }
            }
        }
        assert!(found.is_empty(), "{room} knows too much:\n{}", found.join("\n"));
    }
}

/// The modules of the crate that a file names, as `crate::NAME` or in `use crate::{NAME, NAME}`.
fn named_rooms(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let names = if let Some(list) = rest.strip_prefix('{') { top_level(list) } else { vec![rest.to_owned()] };
        for name in names {
            let name = name.trim_start();
            let end = name.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(name.len());
            found.insert(name[..end].to_owned());
        }
    }
    found
}

/// The entries of a `{…}` list, nested ones left whole.
fn top_level(list: &str) -> Vec<String> {
    let (mut depth, mut entries) = (0, vec![String::new()]);
    for letter in list.chars() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                entries.push(String::new());
                continue;
            }
            _ => {}
        }
        entries.last_mut().expect("there is always one").push(letter);
    }
    entries.retain(|entry| !entry.trim().is_empty());
    entries
}

#[test]
fn the_engine_knows_no_cloud_and_no_terminal() {
    let manifest = std::fs::read_to_string(root().join("crates/engine/Cargo.toml")).expect("the engine's manifest");
    let section =
        manifest.split("\n[dependencies]\n").nth(1).expect("dependencies").split("\n[").next().unwrap_or_default();
    let names: Vec<&str> = section.lines().filter_map(|line| line.split(['.', ' ', '=']).next()).collect();
    for name in names.into_iter().filter(|name| !name.is_empty()) {
        let known = ["anyhow", "futures", "serde", "serde_json", "thiserror", "tokio", "tokio-util"];
        assert!(known.contains(&name), "the engine must not depend on {name}");
    }
    let found: Vec<String> = sources("crates/engine/src")
        .iter()
        .flat_map(|source| {
            source.lines_with(&["aws", "println!", "print!(", "std::io", "std::fs", "std::process", "std::env"])
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn nothing_panics_without_saying_why() {
    let all = sources("src").into_iter().chain(sources("crates/engine/src"));
    let found: Vec<String> = all
        .flat_map(|source| source.lines_with(&[".unwrap()", ".unwrap_err()", "panic!()", "unreachable!()"]))
        .collect();
    assert!(found.is_empty(), "`expect` says what can never be:\n{}", found.join("\n"));
}

#[test]
fn no_file_is_too_long_to_read() {
    let folders = ["src", "crates", "tests"];
    let files = folders.iter().flat_map(|folder| rust_files(&root().join(folder)));
    let lines = |path: &PathBuf| std::fs::read_to_string(path).expect("a source file").lines().count();
    let long: Vec<String> = files
        .filter_map(|path| Some((lines(&path), relative(&path))).filter(|(lines, _)| *lines > 400))
        .map(|(lines, path)| format!("{path} has {lines} lines"))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn no_test_is_forgotten() {
    let tests = root().join("tests");
    let mut lost = Vec::new();
    for path in rust_files(&tests) {
        let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let folder = path.parent().expect("a folder");
        if path == tests.join("main.rs") {
            continue;
        }
        // `a/b.rs` is declared in `a/mod.rs` or `a.rs`, `a/mod.rs` one folder up; those of the top in main.rs.
        let (name, folder) = match stem.as_str() {
            "mod" => {
                (folder.file_name().expect("a name").to_string_lossy().into_owned(), folder.parent().expect("a folder"))
            }
            _ => (stem, folder),
        };
        let parents = if folder == tests {
            vec![tests.join("main.rs")]
        } else {
            vec![folder.join("mod.rs"), folder.with_extension("rs")]
        };
        let declared = parents.iter().filter_map(|parent| std::fs::read_to_string(parent).ok()).any(|text| {
            text.lines()
                .any(|line| [format!("mod {name};"), format!("pub mod {name};")].contains(&line.trim().to_owned()))
        });
        if !declared {
            lost.push(relative(&path));
        }
    }
    assert!(lost.is_empty(), "not part of the one test binary:\n{}", lost.join("\n"));
}

#[test]
fn every_kind_is_registered() {
    let kinds: Vec<String> =
        sources("src/resources").iter().flat_map(|source| source.lines_with(&["const KIND: "])).collect();
    assert_eq!(
        infra::resources::REGISTRY.len(),
        kinds.len(),
        "a kind has no row in its room's list:\n{}",
        kinds.join("\n")
    );
}

#[test]
fn nobody_s_own_paths_are_in_the_repository() {
    // A fresh clone has none of them.
    for file in ["Makefile", "scripts/test", "scripts/demo", "scripts/python", ".ci/run", "README.md"] {
        let Ok(text) = std::fs::read_to_string(root().join(file)) else { continue };
        for path in [concat!("/", "root/"), concat!("/", "home/"), "../shared"] {
            assert!(!text.contains(path), "{file} names {path}");
        }
    }
}
