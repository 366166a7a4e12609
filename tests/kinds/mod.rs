//! Each kind: created, then no changes; every field changed, then a diff; deleted, then gone.

mod compute;
mod identity;
mod network;
mod storage;
