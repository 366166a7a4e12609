//! Killing the program with SIGKILL at the worst moment that there is: a call has taken effect, and its answer never came.

use std::{
    fs::{self, File},
    process::Stdio,
};

use super::{
    cli::Project,
    proxy::{Behaviour, Proxy},
};

/// Runs the program on the local cloud at `endpoint` and kills it once its n-th call has taken effect; false where it ends
/// well before that.
///
/// # Errors
///
/// What it said, where it fails by itself.
pub async fn killed_at(call: usize, endpoint: &str, project: &Project, arguments: &[&str]) -> Result<bool, String> {
    let proxy = Proxy::start(endpoint, Behaviour { silent_from: Some(call), ..Behaviour::default() }).await;
    let mut command = project.command(Some(&proxy.endpoint), &[&["--local"], arguments].concat());
    let log = project.path("log");
    command.stdout(Stdio::null()).stderr(File::create(&log).expect("a writable project"));
    let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn().expect("the program starts");
    tokio::select! {
        status = child.wait() => {
            if status.expect("a status").success() {
                return Ok(false);
            }
            Err(format!("it failed by itself before call {call}:\n{}", fs::read_to_string(log).unwrap_or_default()))
        }
        () = proxy.silenced() => {
            // SIGKILL: nothing in the program gets to tidy up.
            child.kill().await.expect("the program can be killed");
            Ok(true)
        }
    }
}
