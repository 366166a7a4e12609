//! Everything that is printed. Data goes to stdout, what happens goes to stderr; both read without colour.

pub mod failure;
pub mod plan;
pub mod progress;
pub mod style;
pub mod table;
pub mod value;

use std::io::Write;

/// Prints data: the answer to what was asked.
pub fn print(text: &str) {
    let mut out = anstream::stdout();
    // A reader that went away (`infra plan | head`) is no reason to fail.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
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

/// The columns that there are to write in; nothing off a terminal.
pub fn width() -> usize {
    terminal_size::terminal_size().map_or(0, |(width, _)| usize::from(width.0))
}

/// Sets colour for the whole run: `never` where the user said `--no-color`.
pub fn set_color(never: bool) {
    if never {
        anstream::ColorChoice::Never.write_global();
    }
}

/// Asks a question that only `yes` answers; `None` where nobody is there to answer.
pub fn confirm(question: &str) -> Option<bool> {
    use std::io::{BufRead, IsTerminal};
    if !std::io::stdin().is_terminal() {
        return None;
    }
    let mut err = anstream::stderr();
    let _ = write!(err, "{question} ").and_then(|()| err.flush());
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).ok()?;
    Some(answer.trim().eq_ignore_ascii_case("yes"))
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
