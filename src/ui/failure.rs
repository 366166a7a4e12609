//! Errors and their hints.

use owo_colors::OwoColorize;

use super::{say, style};

/// Prints an error and what to do about it.
pub fn show(message: &str, hints: &[String]) {
    if !message.is_empty() {
        // A message that is made of positioned errors has its own heading for each, which may be coloured.
        let plain = anstream::adapter::strip_str(message).to_string();
        let prefix =
            if plain.starts_with("error:") { String::new() } else { format!("{} ", "error:".style(style::error())) };
        say(&format!("{prefix}{message}"));
    }
    for hint in hints {
        say(&format!("{} {hint}", "hint:".style(style::hint())));
    }
}
