//! The kinds of `resources/identity`.
