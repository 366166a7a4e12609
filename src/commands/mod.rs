//! The verbs, one file each, and the flags that they share.

mod adopt;
mod apply;
mod cluster;
mod completions;
mod cp;
mod destroy;
mod examine;
mod load;
mod local;
mod looks;
mod master;
mod open;
mod open_cluster;
mod open_report;
mod output;
mod pages;
mod pipeline;
mod plan;
mod planfile;
mod preflight;
mod reach;
mod region;
mod run;
mod schema;
mod select;
mod session;
mod ssh;
mod status;
mod tunnel;
mod users;
mod validate;
mod verify;

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::error::Result;

const FILE_HELP: &str = "\
The spec; by default INFRA_SPEC, or else the only one in `infra/`. A bare name is looked for there: `-f nyc311`.";

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed; 2 changes are pending (`plan --exit-code`, `verify`) or the command line is wrong;
130 stopped by Ctrl-C. `ssh` and `cp` end as what they ran.";

/// One YAML file describes a whole data platform on AWS; `infra apply` makes the world match it.
#[derive(Debug, Parser)]
#[command(
    name = "infra",
    version,
    after_help = format!("Try `infra --local plan -f infra/nyc311.yaml`: the local cloud needs no AWS account.\n\n{EXIT_CODES}"),
    propagate_version = true,
    max_term_width = 110
)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    verb: Verb,
}

/// Flags that every verb takes.
#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct Globals {
    /// The spec; by default `INFRA_SPEC`, or else the only one in `infra/`.
    #[arg(short, long, global = true, value_name = "FILE", long_help = FILE_HELP)]
    pub file: Option<PathBuf>,
    /// Values for another environment, laid over the spec.
    #[arg(long, global = true, value_name = "FILE")]
    pub overlay: Option<PathBuf>,
    /// Sets a variable of the spec (`${var:NAME}`); may be repeated.
    #[arg(long = "set", global = true, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Works on the local cloud, and cannot reach any other address; starts it when needed.
    #[arg(long, global = true)]
    pub local: bool,
    /// Leaves out what is on the hosts (users, services), and connects to none.
    #[arg(long, global = true)]
    pub no_hosts: bool,
    /// Believes a host whose key is not known at the first meeting; a key that changed is refused still.
    #[arg(long, global = true)]
    pub trust_first: bool,
    /// Prints no colour (as does `NO_COLOR=1`, and any output that is not a terminal).
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Tells more: -v requests, -vv everything. Secrets are never told.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl Globals {
    /// The flags as a command line has them, for this program to run itself again in the same folder.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let Self { file, overlay, set, local, no_hosts, trust_first, no_color, verbose } = self;
        let mut arguments: Vec<OsString> = Vec::new();
        let mut path = |flag: &str, path: &Option<PathBuf>| {
            arguments.extend(path.iter().flat_map(|path| [flag.into(), path.clone().into_os_string()]));
        };
        path("--file", file);
        path("--overlay", overlay);
        arguments.extend(set.iter().flat_map(|pair| ["--set".into(), pair.into()]));
        for (is, flag) in
            [(*local, "--local"), (*no_hosts, "--no-hosts"), (*trust_first, "--trust-first"), (*no_color, "--no-color")]
        {
            arguments.extend(is.then(|| flag.into()));
        }
        arguments.extend((0..*verbose).map(|_| "--verbose".into()));
        arguments
    }
}

/// Flags of the verbs that change the world.
#[derive(Args, Clone, Debug)]
pub struct Changing {
    /// Does not ask.
    #[arg(short, long)]
    pub yes: bool,
    /// How many steps may run at once.
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub parallelism: u16,
    /// Prints one JSON event a line on stdout instead of progress.
    #[arg(long)]
    pub json: bool,
}

/// Leave to delete data.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Emptying {
    /// Deletes what is in a bucket with it, every version; without this, a bucket that holds data is refused.
    #[arg(long)]
    pub empty_buckets: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Checks the spec; needs no network.
    Validate(validate::Validate),
    /// Shows what `apply` would do.
    Plan(plan::Plan),
    /// Makes the world match the spec.
    Apply(apply::Apply),
    /// Checks that the world matches the spec; exits with 2 if not.
    Verify(verify::Verify),
    /// Deletes everything that the stack owns.
    Destroy(destroy::Destroy),
    /// Shows what exists.
    Status(status::Status),
    /// Prints one output, or all: addresses, names, ids.
    Output(output::Output),
    /// Takes over an object that exists, by tagging it.
    Adopt(adopt::Adopt),
    /// The cluster: up, down, and what runs on it.
    Cluster(cluster::Cluster),
    /// People with logins on the hosts.
    Users(users::Users),
    /// Logs in on a host, or runs a command there.
    Ssh(ssh::Ssh),
    /// Copies files to or from a host.
    Cp(cp::Cp),
    /// Opens a page here: luigi's, Airflow's, one of the cluster's.
    Open(open::Open),
    /// The cluster's web pages: a SOCKS5 proxy here, through the bastion.
    Tunnel(tunnel::Tunnel),
    /// Pipelines: code that runs on the stack.
    Pipeline(pipeline::Pipeline),
    /// Prints the JSON Schema of the spec, for editors.
    Schema(schema::Schema),
    /// Prints a completion script for a shell.
    Completions(completions::Completions),
    /// Runs AWS on this machine: no account, no costs, nothing leaves it.
    Local(local::Local),
}

impl Cli {
    /// Carries the command out.
    pub async fn run(self) -> Result {
        let Self { globals, verb } = self;
        crate::ui::set_color(globals.no_color);
        match verb {
            Verb::Validate(verb) => verb.run(&globals),
            Verb::Plan(verb) => Box::pin(verb.run(&globals)).await,
            Verb::Apply(verb) => Box::pin(verb.run(&globals)).await,
            Verb::Verify(verb) => Box::pin(verb.run(&globals)).await,
            Verb::Destroy(verb) => Box::pin(verb.run(&globals)).await,
            Verb::Status(verb) => Box::pin(verb.run(&globals)).await,
            Verb::Output(verb) => Box::pin(verb.run(&globals)).await,
            Verb::Adopt(verb) => Box::pin(verb.run(&globals)).await,
            Verb::Cluster(verb) => Box::pin(verb.run(&globals)).await,
            Verb::Users(verb) => Box::pin(verb.run(&globals)).await,
            Verb::Ssh(verb) => Box::pin(verb.run(&globals)).await,
            Verb::Cp(verb) => Box::pin(verb.run(&globals)).await,
            Verb::Open(verb) => Box::pin(verb.run(&globals)).await,
            Verb::Tunnel(verb) => Box::pin(verb.run(&globals)).await,
            Verb::Pipeline(verb) => Box::pin(verb.run(&globals)).await,
            Verb::Schema(verb) => verb.run(),
            Verb::Completions(verb) => verb.run(),
            Verb::Local(verb) => Box::pin(verb.run(&globals)).await,
        }
    }

    /// How much to log: 0 nothing, 1 requests, 2 everything.
    pub fn verbosity(&self) -> u8 {
        self.globals.verbose
    }
}
