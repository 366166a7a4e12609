//! The plan as a reader sees it.
