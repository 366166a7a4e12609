//! Everything that is printed. Data goes to stdout, what happens goes to stderr; both read without colour.

pub mod failure;
pub mod plan;
pub mod progress;
pub mod style;
pub mod table;
pub mod time;
pub mod value;

use std::io::Write;

use anyhow::Context;

/// Prints data: the answer to what was asked. What could not be written (the disk is full) is an error.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = anstream::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A reader that went away (`infra plan | head`) is no reason to fail.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write the answer to stdout"),
    }
}

/// Prints bytes as they are: a log, whose letters and colours are its own.
pub fn pass(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        // As above.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write the answer to stdout"),
    }
}

/// The program's output as a file, for bytes that pass through it and are not text.
///
/// # Errors
///
/// Where there is no output.
pub fn output() -> std::io::Result<std::fs::File> {
    use std::os::fd::AsFd;
    Ok(std::io::stdout().as_fd().try_clone_to_owned()?.into())
}

/// Prints what happens, or what the user should know.
pub fn say(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Whether stderr takes colour.
pub fn colored_stderr() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

/// The columns that there are for what happens, on stderr; nothing off a terminal.
pub fn width() -> usize {
    columns(std::io::stderr())
}

/// The columns that there are for data, on stdout; nothing off a terminal.
pub fn data_width() -> usize {
    columns(std::io::stdout())
}

fn columns(stream: impl std::os::fd::AsFd) -> usize {
    terminal_size::terminal_size_of(stream).map_or(0, |(width, _)| usize::from(width.0))
}

/// Sets colour for the whole run: `never` where the user said `--no-color`.
pub fn set_color(never: bool) {
    if never {
        anstream::ColorChoice::Never.write_global();
    }
}

/// Asks a question that only `yes` answers, in these three letters; `None` where nobody is there to answer. Waits for
/// the answer as long as it takes.
pub fn confirm(question: &str) -> Option<bool> {
    use std::io::{BufRead, IsTerminal};
    if !std::io::stdin().is_terminal() {
        return None;
    }
    let mut err = anstream::stderr();
    let _ = write!(err, "{question} ").and_then(|()| err.flush());
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).ok()?;
    Some(answer.trim() == "yes")
}

/// Asks for a secret without showing it; `None` where nobody is there to answer. Ctrl-C is an error of kind
/// `Interrupted` where the caller catches the signal; otherwise it ends the process.
pub fn ask_secret(question: &str) -> std::io::Result<Option<secrecy::SecretString>> {
    use std::io::IsTerminal;
    if !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    // On the terminal itself: stdout is for data, and may be a file.
    let config = rpassword::ConfigBuilder::new().password_feedback_hide().build();
    Ok(Some(rpassword::prompt_password_with_config(question, config)?.into()))
}
