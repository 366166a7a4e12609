//! YAML to a typed, validated [`Spec`], every value with its line and column.

pub mod model;

pub use model::*;
