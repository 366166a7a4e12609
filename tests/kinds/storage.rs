//! The kinds of `resources/storage`.
