//! Colours, by meaning. Nothing is said by colour alone.

use owo_colors::Style;

/// Something comes into being.
pub fn create() -> Style {
    Style::new().green()
}

/// Something changes.
pub fn change() -> Style {
    Style::new().yellow()
}

/// Something is lost.
pub fn destroy() -> Style {
    Style::new().red().bold()
}

/// Beside the point.
pub fn dim() -> Style {
    Style::new().dimmed()
}

/// A heading.
pub fn heading() -> Style {
    Style::new().bold()
}

/// An error.
pub fn error() -> Style {
    Style::new().red().bold()
}

/// A hint.
pub fn hint() -> Style {
    Style::new().cyan()
}
