//! Starting a keeper: this program itself, which leaves our terminal and says once how it went.

use std::{ffi::OsString, fs::File, process::Stdio};

use anyhow::Context;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout, Command},
};

/// A keeper that has not said yet how it went.
#[derive(Debug)]
pub struct Starting {
    child: Child,
    out: BufReader<ChildStdout>,
}

/// Starts a keeper with the flags that we had; what it tells later goes to `log`.
pub fn keeper_process(flags: &[OsString], port: Option<u16>, log: File) -> anyhow::Result<Starting> {
    let program = std::env::current_exe().context("this program's own path cannot be told")?;
    let mut command = Command::new(program);
    command.args(flags).args(["tunnel", "keep"]);
    if let Some(port) = port {
        command.args(["--port", &port.to_string()]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    let mut child = command.spawn().context("cannot start this program again")?;
    let out = BufReader::new(child.stdout.take().context("the keeper has no output")?);
    Ok(Starting { child, out })
}

impl Starting {
    /// What it says; nothing where it ended without a word.
    pub async fn said(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.out.read_line(&mut line).await.context("the keeper cannot be heard")?;
        Ok(line)
    }

    /// Ends it for certain.
    pub async fn end(&mut self) {
        let _ = self.child.kill().await;
    }
}
