//! `infra`: one YAML file describes a whole data platform on AWS, and the world is made to match it.
//!
//! The way through, with who may know whom, is drawn in ARCHITECTURE.md.

pub mod cloud;
pub mod cluster;
pub mod commands;
pub mod credentials;
pub mod error;
pub mod hosts;
pub mod http;
pub mod local;
pub mod logging;
pub mod pipeline;
pub mod resources;
pub mod spec;
pub mod stacks;
pub mod tunnel;
pub mod ui;
pub mod workspace;
