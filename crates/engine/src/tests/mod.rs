//! The engine on a toy cloud. One file a subject.

mod crashing;
mod random;
mod toy;
