//! Pipelines beyond what is in the graph: versions that are in S3, what a run is to do, and what became of it.
//!
//! Deploying one is a plan like any other (`stacks/pipeline.rs`, `resources/storage/pipeline.rs`). Running one hands its
//! jobs to the cluster, one after the other, or has luigi or Airflow on a host do so. Nothing here prints.

pub mod airflow;
pub mod luigi;
pub mod on_host;
pub mod record;
pub mod report;
pub mod skeleton;
pub mod stored;
pub mod trial;
pub mod work;
