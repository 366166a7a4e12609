//! The cluster's own affairs, beside making and ending it, which the engine does as for everything: checks before a
//! start, what it costs, why it failed, and whether it idles.

pub mod cost;
pub mod explain;
pub mod idle;
pub mod preflight;
