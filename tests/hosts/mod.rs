//! People, sshd and services on real Linux hosts: each test on a stack of its own, with real sshd, useradd and systemd.

mod audit;
mod drift;
mod interrupt;
mod leaving;
mod lists;
mod logins;
mod pages;
mod parts;
mod passwords;
mod pipelines;
mod reaper;
mod runs;
mod secrets;
mod servers;
mod services;
mod sshd;
mod steady;
mod strangers;
mod tidy;
mod trust;
mod ways;
mod whole;
