//! The kinds of `resources/compute`.
