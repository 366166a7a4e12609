//! Where a project keeps what is not in its spec: `.infra/` beside the folder of specs.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context;

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
            Some(name) if name == "infra" => folder.parent().unwrap_or(Path::new("")),
            _ => folder,
        };
        Self { root: root.join(".infra") }
    }

    /// The workspace of the current folder, for commands that read no spec.
    pub fn here() -> Self {
        Self { root: PathBuf::from(".infra") }
    }

    /// The journal of a stack in an account; `realm` tells the local cloud's from AWS's.
    pub fn journal(&self, realm: &str, stack: &str) -> PathBuf {
        self.root.join("journal").join(format!("{realm}-{stack}"))
    }

    /// Where a stack's secrets are kept; the folder is made, readable by its owner alone.
    pub fn secrets(&self, realm: &str, stack: &str) -> anyhow::Result<PathBuf> {
        let folder = self.root.join("secrets").join(format!("{realm}-{stack}"));
        private_folder(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok(folder)
    }

    /// Where the ways to a stack's hosts are kept: ssh's configuration and the hosts' keys.
    pub fn hosts(&self, realm: &str, stack: &str) -> anyhow::Result<PathBuf> {
        let folder = self.root.join("hosts").join(format!("{realm}-{stack}"));
        // ssh reads it from wherever it is started.
        std::path::absolute(folder).context("the current folder cannot be told")
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
        write().with_context(|| format!("cannot make the folder {}", self.root.display()))
    }
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
    fn the_workspace_lies_beside_the_folder_of_specs() {
        let root = |spec: &str| Workspace::of(Path::new(spec)).root;
        assert_eq!(root("infra/nyc311.yaml"), Path::new(".infra"));
        assert_eq!(root("/srv/project/infra/nyc311.yaml"), Path::new("/srv/project/.infra"));
        assert_eq!(root("/srv/stack.yaml"), Path::new("/srv/.infra"));
        assert_eq!(root("stack.yaml"), Path::new("./.infra"));
    }
}
