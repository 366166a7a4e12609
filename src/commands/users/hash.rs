//! `infra users hash`.

use std::{io::Read, path::PathBuf};

use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use crate::{
    credentials::{
        password::{self, SHORT},
        secret_file::{SecretFile, only_line},
    },
    error::{Failure, Result},
    ui,
};

/// More than this on stdin is no password.
const LARGEST: u64 = 4096;

const EXAMPLES: &str = "\
Examples:
  infra users hash                        asks twice, shows nothing
  infra users hash > password.hash        for `users: { file: users.txt, password: password.hash }`
  pass show bastion | infra users hash --stdin";

/// Makes the sha512-crypt hash of a password, as `/etc/shadow` holds it, with 656,000 rounds and a salt of its own.
///
/// The password is asked for, or comes from stdin or a file; it is never an argument, which every user of a machine
/// could read in its list of processes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Hash {
    /// Reads the password from stdin: one line.
    #[arg(long, conflicts_with = "secret")]
    stdin: bool,
    /// Reads the password from a file of mode 0600: one line.
    #[arg(long = "from", id = "secret", value_name = "FILE")]
    from: Option<PathBuf>,
}

impl Hash {
    pub(super) fn run(self) -> Result {
        let Self { stdin, from } = self;
        let password = match from {
            Some(file) => from_file(&file)?,
            None if stdin => from_stdin()?,
            None => ask()?,
        };
        let length = password.expose_secret().chars().count();
        if length > 0 && length < SHORT {
            ui::say(&format!("warning: fewer than {SHORT} characters are guessed soon; several words are better"));
        }
        let hash = password::hash(&password).map_err(|error| Failure::new(error.to_string()))?;
        ui::print(&format!("{}\n", hash.expose()))?;
        Ok(())
    }
}

fn from_file(file: &std::path::Path) -> Result<SecretString> {
    let name = file.display();
    let secret = SecretFile::read(file).map_err(|message| Failure::new(format!("{name}: {message}")))?;
    if !secret.is_private() {
        let failure = Failure::new(format!("{name}: others can read this password (mode {:04o})", secret.mode));
        return Err(failure.hint(format!("chmod 600 {name}; and take another password if somebody may have read it")));
    }
    Ok(secret.line)
}

fn from_stdin() -> Result<SecretString> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(LARGEST + 1).read_to_string(&mut text);
    let length = text.len() as u64;
    let text = SecretString::from(text);
    read.map_err(|error| Failure::new(format!("stdin cannot be read: {error}")))?;
    if length > LARGEST {
        return Err(Failure::new("stdin is too large to hold one password"));
    }
    only_line(&text).map_err(|message| Failure::new(format!("stdin {message}")))
}

fn ask() -> Result<SecretString> {
    // Caught, Ctrl-C becomes an error here; otherwise it would end the process and leave the terminal without its echo.
    let _caught = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt());
    let first = answer("Password: ")?;
    if first.expose_secret().is_empty() {
        return Err(Failure::new("the password is empty"));
    }
    let again = answer("Once more: ")?;
    if first.expose_secret() != again.expose_secret() {
        return Err(Failure::new("the two are not the same").hint("try again"));
    }
    Ok(first)
}

fn answer(question: &str) -> Result<SecretString> {
    match ui::ask_secret(question) {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) => Err(Failure::new("nobody is there to ask for the password").hint("use --stdin, or --from FILE")),
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Err(Failure::cancelled("stopped")),
        Err(error) => {
            Err(Failure::new(format!("the terminal cannot be asked: {error}")).hint("use --stdin, or --from FILE"))
        }
    }
}
