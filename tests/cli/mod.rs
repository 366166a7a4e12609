//! The program as a user runs it, off a terminal, on the cloud under test.
//!
//! What stock moto cannot show (it refuses no delete, and shows every object at once) is in `strict`, by which name
//! `scripts/test` leaves it out there.

mod adopt;
mod apply;
mod arguments;
mod destroy;
mod failures;
mod gateway;
mod handmade;
mod help;
mod hosts;
mod interrupt;
mod isolation;
mod locks;
mod outputs;
mod places;
mod planfile;
mod secrets;
mod specs;
mod strict;
mod terminal;
mod users_file;
mod users_hash;
mod views;
