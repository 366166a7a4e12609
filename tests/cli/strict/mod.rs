//! What only a strict cloud shows: refused deletes, nothing left behind, reads that lag.

mod injections;
mod lag;
mod teardown;
