//! Where a project keeps what is not in its spec: `.infra/` beside the folder of specs.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;

/// What the folder of specs is called.
const SPECS: &str = crate::spec::DEFAULT_FOLDER;

/// The project's own folder.
#[derive(Clone, Debug)]
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The workspace of the project that `spec` belongs to: beside the folder `infra/`, or beside the file where it
    /// lies elsewhere.
    pub fn of(spec: &Path) -> Self {
        let folder = spec.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let root = match folder.file_name() {
            Some(name) if name == SPECS => folder.parent().unwrap_or(Path::new("")).to_owned(),
            // `.`, or something above it: where that is, it does not say itself.
            None if is_folder_of_specs(folder) => folder.join(".."),
            _ => folder.to_owned(),
        };
        Self { root: root.join(".infra") }
    }

    /// The workspace of the current folder, for commands that read no spec.
    pub fn here() -> Self {
        Self::at(Path::new(""))
    }

    fn at(here: &Path) -> Self {
        // A project may be called as the folder of specs is; it has that folder in it.
        let inside = is_folder_of_specs(&Path::new(".").join(here)) && !here.join(SPECS).is_dir();
        Self { root: here.join(if inside { "../.infra" } else { ".infra" }) }
    }

    /// The journal of a stack in an account; `realm` tells the local cloud's from AWS's.
    pub fn journal(&self, realm: &str, stack: &str) -> PathBuf {
        self.root.join("journal").join(format!("{realm}-{stack}"))
    }

    /// Where a stack's secrets are kept; the folder is made, readable by its owner alone.
    pub fn secrets(&self, realm: &str, stack: &str) -> anyhow::Result<PathBuf> {
        let folder = self.secrets_at(realm, stack);
        private_folder(&folder).with_context(|| format!("cannot make the folder {}", absolute(&folder).display()))?;
        Ok(folder)
    }

    /// Where a stack's secrets are kept, whether or not there is such a folder yet.
    pub fn secrets_at(&self, realm: &str, stack: &str) -> PathBuf {
        self.root.join("secrets").join(format!("{realm}-{stack}"))
    }

    /// Keeps other commands of this folder from changing the stack until the lock is dropped or the process ends,
    /// however it ends. An error says who holds it.
    pub fn lock(&self, realm: &str, stack: &str, verb: &str) -> anyhow::Result<Lock> {
        let path = absolute(&self.root).join("locks").join(format!("{realm}-{stack}"));
        let unwritable = || unwritable(&path);
        fs::create_dir_all(path.parent().unwrap_or(&self.root)).with_context(unwritable)?;
        let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        // Held for as long as the command runs, which is as long as the process.
        let lock = Box::leak(Box::new(fd_lock::RwLock::new(file.with_context(unwritable)?)));
        let mut held = match lock.try_write() {
            Ok(held) => held,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let who = fs::read_to_string(&path).unwrap_or_default();
                let who = if who.trim().is_empty() { "another command" } else { who.trim() };
                anyhow::bail!("{who} is at work on stack {stack}; nothing was changed");
            }
            Err(error) => return Err(error).with_context(unwritable),
        };
        let now = jiff::Zoned::now().strftime("%H:%M:%S");
        let who = format!("`infra {verb}` (process {}, since {now})\n", std::process::id());
        held.set_len(0).and_then(|()| held.write_all(who.as_bytes())).with_context(unwritable)?;
        Ok(Lock { _held: held })
    }

    /// Where the ways to a stack's hosts are kept: ssh's configuration and the hosts' keys.
    pub fn hosts(&self, realm: &str, stack: &str) -> anyhow::Result<PathBuf> {
        let folder = self.root.join("hosts").join(format!("{realm}-{stack}"));
        // ssh reads it from wherever it is started.
        std::path::absolute(folder).context("the current folder cannot be told")
    }

    /// Where what is known of a stack's tunnel is kept.
    pub fn tunnel(&self, realm: &str, stack: &str) -> anyhow::Result<PathBuf> {
        let folder = self.root.join("tunnel").join(format!("{realm}-{stack}"));
        std::path::absolute(folder).context("the current folder cannot be told")
    }

    /// Where a run of a pipeline notes which cluster it started. Beside it, with the ending `.users`, is the lock of all
    /// runs that are at work on the stack's cluster.
    pub fn run(&self, realm: &str, stack: &str) -> PathBuf {
        self.root.join("runs").join(format!("{realm}-{stack}"))
    }

    /// Where reports of pipelines are written.
    pub fn reports(&self) -> PathBuf {
        self.root.join("reports")
    }

    /// Where the local cloud keeps its state.
    pub fn local_cloud(&self) -> PathBuf {
        self.root.join("local")
    }

    /// Makes the folder and tells git to leave it alone.
    pub fn prepare(&self) -> anyhow::Result<()> {
        let write = || -> io::Result<()> {
            fs::create_dir_all(&self.root)?;
            let ignore = self.root.join(".gitignore");
            if !ignore.exists() {
                fs::write(ignore, "*\n")?;
            }
            Ok(())
        };
        write().with_context(|| unwritable(&absolute(&self.root)))
    }
}

fn is_folder_of_specs(folder: &Path) -> bool {
    folder.canonicalize().is_ok_and(|folder| folder.file_name().is_some_and(|name| name == SPECS))
}

/// A stack that no other command of this folder changes.
#[derive(Debug)]
pub struct Lock {
    _held: fd_lock::RwLockWriteGuard<'static, fs::File>,
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn unwritable(path: &Path) -> String {
    format!("cannot write {} (infra keeps its journal, locks and secrets there)", path.display())
}

/// Makes a folder that only its owner can look into.
pub fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_locked_until_the_lock_is_dropped_and_says_by_whom() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace { root: folder.path().join(".infra") };
        let held = workspace.lock("local", "a", "apply").unwrap();
        let refused = workspace.lock("local", "a", "destroy").unwrap_err().to_string();
        let pid = std::process::id();
        assert!(refused.contains("`infra apply`") && refused.contains(&format!("process {pid},")), "{refused}");
        workspace.lock("local", "b", "destroy").unwrap();
        drop(held);
        workspace.lock("local", "a", "destroy").unwrap();
    }

    #[test]
    fn the_workspace_lies_beside_the_folder_of_specs() {
        let root = |spec: &str| Workspace::of(Path::new(spec)).root;
        assert_eq!(root("infra/nyc311.yaml"), Path::new(".infra"));
        assert_eq!(root("/srv/project/infra/nyc311.yaml"), Path::new("/srv/project/.infra"));
        assert_eq!(root("/srv/stack.yaml"), Path::new("/srv/.infra"));
        assert_eq!(root("stack.yaml"), Path::new("./.infra"));
    }

    #[test]
    fn a_command_without_a_spec_has_the_workspace_of_the_specs_around_it() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("infra");
        fs::create_dir(&inside).unwrap();
        let root = |here: &Path| Workspace::at(here).root;
        assert_eq!(root(folder.path()), folder.path().join(".infra"));
        assert_eq!(root(&inside), inside.join("../.infra"));
        fs::create_dir(inside.join("infra")).unwrap();
        assert_eq!(root(&inside), inside.join(".infra"), "a project that is called so itself");
    }
}
