//! Pipelines beyond what is in the graph: versions that are in S3.
//!
//! Deploying one is a plan like any other (`stacks/pipeline.rs`, `resources/storage/pipeline.rs`).

pub mod stored;
