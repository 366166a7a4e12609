//! The tunnel: a SOCKS5 proxy on this machine's loopback, through the bastion to the cluster's master, for the cluster's
//! web pages.
//!
//! ```text
//! browser ──▶ 127.0.0.1:8157 ── serve ── line (hosts/) ══ ssh ══▶ bastion ══▶ master ──▶ its pages
//!    ▲              │ socks                  ▲ connects anew, with pauses
//!    └─ PAC ────────┘                     keeper ── control ◀── `infra tunnel status|down`
//! ```
//!
//! The port is ours and not ssh's: it stays bound while the connection is lost and made again, and answers two languages,
//! SOCKS5 and, for the PAC file, HTTP. One process, the keeper, owns everything; it is in the background unless the user
//! wants to see it. What is known of it on disk is in [`Folder`]. Nothing here knows AWS: whoever starts a keeper tells it
//! how to connect and how to ask whether the cluster lives ([`Way`]).

pub mod browser;
pub mod control;
mod folder;
mod foxyproxy;
mod keeper;
mod pac;
pub mod pages;
mod patterns;
pub mod port;
pub mod probe;
mod process;
mod serve;
mod socks;
mod start;

pub use folder::{Ended, Folder, Found, Held, Record};
pub use foxyproxy::{foxyproxy, foxyproxy_7};
pub use keeper::{Broken, Carry, Connection, Dial, Keeper, State, Told, ToldMaster, ToldPage, Way};
pub use pac::{PAC_PATH, pac};
pub use patterns::Network;
pub use process::detach;
pub use start::{Starting, keeper_process};

/// The port that browsers are told: the one that EMR's own instructions use.
pub const PORT: u16 = 8157;
