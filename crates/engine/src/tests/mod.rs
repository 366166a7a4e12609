//! The engine on a toy cloud. One file a subject.

mod adding;
mod applying;
mod carrying;
mod crashing;
mod observing;
mod ordering;
mod planning;
mod random;
mod scheduling;
mod toy;
mod wiring;
