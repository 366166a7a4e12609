//! Plans and applies a graph of typed resources.
//!
//! The one way through: a [`Graph`] of desired resources and an [`Inventory`] of what [`observe`]
//! found go into [`plan`], which is pure; [`apply`] carries the [`Plan`] out and tells what happens as
//! [`Event`]s. Verifying is observing and planning again; destroying is planning against an empty graph.
//!
//! This crate knows no cloud and no terminal: a [`World`] is whatever its [`Resource`]s read and write.

mod address;
mod apply;
mod diff;
mod event;
mod graph;
mod inventory;
mod observe;
mod order;
mod plan;
mod resource;
mod schedule;

pub use address::{Address, Origin, Ref};
pub use apply::{Failure, Options, Outcome, Skipped, StepContext, apply};
pub use diff::{Change, Diff, Effect};
pub use event::{Event, Events};
pub use graph::Graph;
pub use inventory::{Inventory, Item};
pub use observe::{ObserveError, observe, observe_all};
pub use plan::{Action, Plan, Refusal, Selection, Step, StepId, Summary, Waits, plan};
pub use resource::{Attempt, Identity, Kind, Resource, World};

/// The result of a step; its error carries the chain of causes for the reader.
pub type Result<T, E = anyhow::Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests;
