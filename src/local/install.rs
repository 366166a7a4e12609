//! Installing the local cloud: once a version, in the user's cache folder, from the package inside this binary.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, bail};
use etcetera::BaseStrategy;
use include_dir::{Dir, include_dir};
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::ui;

static PACKAGE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/local/infra_local");
static REQUIREMENTS: &str = include_str!("../../local/requirements.txt");
/// What `--spark` needs; the package installs it itself.
static SPARK_REQUIREMENTS: &str = include_str!("../../local/requirements-spark.txt");

/// An interpreter with everything that the local cloud needs.
#[derive(Clone, Debug)]
pub(super) struct Python {
    /// The interpreter.
    pub(super) program: PathBuf,
    /// The folder that holds the package.
    pub(super) packages: PathBuf,
}

/// What this binary carries: another version has another one.
pub(super) fn package() -> String {
    let parts = files(&PACKAGE).map(|(_, contents)| contents).chain([SPARK_REQUIREMENTS.as_bytes()]);
    digest(parts)[..16].to_owned()
}

/// The installed local cloud; installs it where it is not, which takes some seconds and the Python package index.
pub(super) async fn ensure() -> anyhow::Result<Python> {
    let cache = etcetera::choose_base_strategy().context("the home folder cannot be told")?.cache_dir();
    let root = cache.join("infra").join("local-cloud");
    let environment = root.join(format!("python-{}", &digest([REQUIREMENTS.as_bytes()].into_iter())[..16]));
    let packages = root.join(format!("package-{}", package()));
    fs::create_dir_all(&root).with_context(|| format!("cannot make the folder {}", root.display()))?;
    // Two commands at once install once.
    let mut lock = fd_lock::RwLock::new(fs::File::create(root.join("lock"))?);
    let held = lock.write().context("cannot lock the local cloud's folder")?;
    if !packages.exists() {
        unpack(&packages)?;
    }
    let program = environment.join("bin").join("python");
    if !environment.join("complete").exists() {
        install(&environment, &packages.join("requirements.txt")).await?;
        fs::write(environment.join("complete"), "")?;
    }
    drop(held);
    Ok(Python { program, packages })
}

fn digest<'a>(parts: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The package's Python files, in a fixed order; caches that a run left beside them are not part of it.
fn files<'a>(folder: &'a Dir<'a>) -> Box<dyn Iterator<Item = (&'a Path, &'a [u8])> + 'a> {
    let own = folder.files().filter(|file| file.path().extension().is_some_and(|extension| extension == "py"));
    Box::new(own.map(|file| (file.path(), file.contents())).chain(folder.dirs().flat_map(files)))
}

fn unpack(packages: &Path) -> anyhow::Result<()> {
    let parent = packages.parent().context("the cache folder has no parent")?;
    let fresh = tempfile::tempdir_in(parent)?;
    for (path, contents) in files(&PACKAGE) {
        let path = fresh.path().join("infra_local").join(path);
        fs::create_dir_all(path.parent().unwrap_or(fresh.path()))?;
        fs::write(path, contents)?;
    }
    fs::write(fresh.path().join("requirements.txt"), REQUIREMENTS)?;
    fs::write(fresh.path().join("requirements-spark.txt"), SPARK_REQUIREMENTS)?;
    fs::rename(fresh.keep(), packages).with_context(|| format!("cannot write {}", packages.display()))
}

async fn install(environment: &Path, requirements: &Path) -> anyhow::Result<()> {
    ui::say("Installing the local cloud (once; about a minute) ...");
    let path = |path: &Path| path.display().to_string();
    let (environment, requirements) = (path(environment), path(requirements));
    let python = format!("{environment}/bin/python");
    if command("uv", &["--version"]).await.is_ok() {
        command("uv", &["venv", "--quiet", "--clear", "--python", ">=3.10", &environment]).await?;
        return command("uv", &["pip", "install", "--quiet", "--python", &python, "-r", &requirements]).await;
    }
    let found =
        suitable().await.context("the local cloud needs Python 3.10 or later (or uv), and neither was found")?;
    command(found, &["-m", "venv", "--clear", &environment])
        .await
        .context("Python cannot make an environment; on Debian and Ubuntu, install python3-venv")?;
    command(&python, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", &requirements]).await
}

/// A Python that is new enough.
async fn suitable() -> Option<&'static str> {
    const NAMES: [&str; 6] = ["python3", "python3.13", "python3.12", "python3.11", "python3.10", "python"];
    for name in NAMES {
        if command(name, &["-c", "import sys; sys.exit(sys.version_info < (3, 10))"]).await.is_ok() {
            return Some(name);
        }
    }
    None
}

async fn command(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    let output = command.output().await.with_context(|| format!("cannot run {program}"))?;
    if output.status.success() {
        return Ok(());
    }
    bail!("{program} {} failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim())
}
