//! `infra tunnel up`.

use std::{fs::File, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use anyhow::Context;
use clap::Args;

use super::{
    super::{Globals, reach::stopped},
    Subject, far_end, keep,
};
use crate::{
    error::{Failure, Result},
    tunnel::{Folder, Found, State, Told, keeper_process},
    ui,
};

/// Opens the tunnel: SOCKS5 on 127.0.0.1, through the bastion to the cluster's master, in the background.
///
/// It connects again by itself when the connection is lost. `infra tunnel down` ends it, and so does the cluster's end.
/// With --foreground it ends with Ctrl-C and with the terminal.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  infra tunnel up
  infra tunnel up --port 9157
  infra tunnel up --foreground
  curl --socks5-hostname 127.0.0.1:8157 http://ip-10-0-1-23.us-west-2.compute.internal:8088/cluster")]
pub struct Up {
    /// The port on 127.0.0.1; by default 8157, or another one where that is taken.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Stays in the foreground and tells what happens.
    #[arg(long)]
    foreground: bool,
}

/// How long one that lost its connection is waited for.
const RECONNECTS_WITHIN: Duration = Duration::from_secs(10);
/// How long a keeper may take to begin: AWS is asked, and two hosts are connected to.
const PATIENCE: Duration = Duration::from_mins(3);

impl Up {
    pub(super) async fn run(self, globals: &Globals) -> Result {
        let Self { port, foreground } = self;
        let subject = Subject::of(globals)?;
        if let Some(told) = already(&subject, port).await? {
            ui::say(&format!(
                "The tunnel is up already, since {}, at 127.0.0.1:{}, to {}.",
                told.since,
                told.port,
                far_end(&told)
            ));
            tell(&told, &subject.flags)?;
            return Ok(());
        }
        if foreground {
            return Box::pin(keep::in_foreground(globals, port, &subject.flags)).await;
        }
        let (told, note) = begin(globals, &subject, port).await?;
        if let Some(note) = note {
            ui::say(&format!("Note: {note}."));
        }
        ui::say(&format!("The tunnel is up, to {}.", far_end(&told)));
        tell(&told, &subject.flags)
    }
}

/// A tunnel that is up; opened first where there is none.
pub(in super::super) async fn ensure_up(globals: &Globals) -> Result<Told> {
    let subject = Subject::of(globals)?;
    if let Some(told) = already(&subject, None).await? {
        return Ok(told);
    }
    let (told, note) = begin(globals, &subject, None).await?;
    if let Some(note) = note {
        ui::say(&format!("Note: {note}."));
    }
    let flags = &subject.flags;
    ui::say(&format!("The tunnel is up, to {}; `infra{flags} tunnel down` ends it.", far_end(&told)));
    Ok(told)
}

/// The tunnel that is up; a failure where it is not the one that was asked for.
async fn already(subject: &Subject, port: Option<u16>) -> Result<Option<Told>> {
    let flags = &subject.flags;
    let down = format!("`infra{flags} tunnel down` ends it");
    match subject.folder.find().await? {
        Found::Up(told) if port.is_some_and(|port| port != told.port) => {
            Err(Failure::new(format!("the tunnel is up already, at port {}", told.port)).hint(down))
        }
        Found::Up(told) => connected(subject, *told).await.map(Some),
        Found::Silent(record) => {
            let process = record.map_or_else(String::new, |record| format!(" (process {})", record.keeper.id));
            let failure = Failure::new(format!("another tunnel{process} is starting, or does not answer"));
            Err(failure.hint(format!("try again in a moment; {down}")))
        }
        Found::Down(_) => Ok(None),
    }
}

/// A tunnel that is there, once it is connected. One that lost its connection gets a moment; then it says why it has none.
async fn connected(subject: &Subject, mut told: Told) -> Result<Told> {
    let flags = &subject.flags;
    let began = tokio::time::Instant::now();
    while told.state == State::Reconnecting {
        if began.elapsed() >= RECONNECTS_WITHIN {
            let why = told.reason.map_or_else(String::new, |reason| format!(": {reason}"));
            return Err(Failure::new(format!("the tunnel has lost its connection, and connects again{why}")).hint(
                format!("it goes on trying by itself; `infra{flags} tunnel status` tells how, `infra{flags} tunnel down` ends it"),
            ));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        match subject.folder.find().await? {
            Found::Up(now) => told = *now,
            Found::Silent(_) | Found::Down(_) => {
                return Err(Failure::new("the tunnel ended while it connected again")
                    .hint(format!("`infra{flags} tunnel status` says why; `infra{flags} tunnel up` opens another")));
            }
        }
    }
    Ok(told)
}

pub(super) fn tell(told: &Told, flags: &str) -> Result {
    ui::print(&format!("socks5h://127.0.0.1:{}\n", told.port))?;
    let names: Vec<&str> = told.pages.iter().map(|page| page.name.as_str()).collect();
    ui::say(&format!("`infra{flags} open NAME` shows a page: {}.", names.join(", ")));
    ui::say(&format!("For a browser of your own: the PAC file {}, or `infra{flags} tunnel config`.", told.pac));
    Ok(())
}

/// Starts a keeper in the background, and waits until it is connected, or says why it cannot be.
async fn begin(globals: &Globals, subject: &Subject, port: Option<u16>) -> Result<(Told, Option<String>)> {
    let folder = &subject.folder;
    folder.make()?;
    let log = private_file(&folder.log())?;
    let mut stop = std::pin::pin!(stopped()?);
    let mut child = keeper_process(&globals.arguments(), port, log)?;
    let said = tokio::select! {
        said = child.said() => said?,
        () = &mut stop => {
            child.end().await;
            return Err(Failure::cancelled("stopped; there is no tunnel"));
        }
        () = tokio::time::sleep(PATIENCE) => {
            child.end().await;
            return Err(Failure::new(format!("the tunnel was not up within {} s", PATIENCE.as_secs()))
                .hint(format!("its log is {}", folder.log().display())));
        }
    };
    keep::Report::read(&said, folder)
}

fn private_file(path: &Path) -> Result<File> {
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    Ok(file.with_context(|| format!("cannot write {}", path.display()))?)
}

impl keep::Report {
    fn read(said: &str, folder: &Folder) -> Result<(Told, Option<String>)> {
        match serde_json::from_str(said) {
            Ok(Self::Up { told, note }) => Ok((*told, note)),
            Ok(Self::Failed { message, hints }) => {
                let mut failure = Failure::new(message);
                failure.hints = hints;
                Err(failure)
            }
            Err(_) => Err(Failure::new("the tunnel's process ended without a reason")
                .hint(format!("its log is {}", folder.log().display()))),
        }
    }
}
