//! `infra cp`.

use std::ffi::OsString;

use clap::Args;

use super::{
    Globals,
    reach::Reach,
    ssh::{Login, outcome},
};
use crate::{
    error::{Failure, Result},
    hosts,
};

/// Copies files to or from a host of the stack, through its bastion: `HOST:PATH` names what is there.
///
/// It is the system's own scp, on the same way as `infra ssh`. Relative paths on a host begin in the home folder. A file
/// here whose name has a `:` is written `./a:b`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra cp jobs/clean.py processing:
  infra cp -r processing:/var/log/luigi ./logs
  infra cp --as mateo notes.txt bastion:notes.txt")]
pub struct Cp {
    /// What to copy, and last where to: on one of both sides `HOST:PATH`.
    #[arg(required = true, num_args = 2.., value_names = ["SOURCE", "TARGET"])]
    paths: Vec<String>,
    /// Copies folders with all that is in them.
    #[arg(short, long)]
    recursive: bool,
    /// Keeps times and permissions.
    #[arg(short, long)]
    preserve: bool,
    #[command(flatten)]
    login: Login,
}

/// The host of a path, as scp tells it: what stands before a colon that comes before any slash.
fn host_of(path: &str) -> Option<&str> {
    let (host, _) = path.split_once(':')?;
    (!host.contains('/')).then_some(host)
}

impl Cp {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { paths, recursive, preserve, login } = self;
        let (target, sources) = paths.split_last().ok_or_else(|| Failure::new("nothing to copy"))?;
        let from: Vec<Option<&str>> = sources.iter().map(|path| host_of(path)).collect();
        let hint = "write the one on the host as `HOST:PATH`; a file here whose name has a `:` is written `./a:b`";
        match (host_of(target), from.iter().flatten().count()) {
            (None, 0) => return Err(Failure::new("none of the paths is on a host").hint(hint)),
            (None, remote) if remote == sources.len() => {}
            (Some(_), 0) => {}
            (None, _) => return Err(Failure::new("some sources are on a host and some are here").hint(hint)),
            (Some(_), _) => {
                let failure = Failure::new("source and target are both on hosts");
                return Err(failure.hint("copy here first, and then on: no host of the stack has keys of another"));
            }
        }
        let mut named: Vec<String> = from.iter().flatten().copied().chain(host_of(target)).map(str::to_owned).collect();
        named.dedup();
        let reach = Reach::open(globals).await?;
        for host in &named {
            reach.choose(Some(host)).map_err(|failure| failure.hint(hint))?;
        }
        for host in &named {
            reach.locate(host).await?;
        }
        let way = login.way(&reach, &named)?;
        let mut arguments = way.arguments().to_vec();
        arguments.extend(recursive.then(|| "-r".into()));
        arguments.extend(preserve.then(|| "-p".into()));
        arguments.push("--".into());
        arguments.extend(paths.iter().map(OsString::from));
        let ended = hosts::run("scp", &arguments).await?;
        // scp ends with either, connection or not.
        outcome(&reach, &login, &way, &named, ended, &[1, 255]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_stands_before_the_first_colon() {
        assert_eq!(host_of("bastion:"), Some("bastion"));
        assert_eq!(host_of("bastion:/a:b"), Some("bastion"));
        for here in ["./a:b", "/a:b", "a", "a/b:c", ""] {
            assert_eq!(host_of(here), None, "{here}");
        }
    }
}
