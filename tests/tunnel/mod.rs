//! The tunnel and the cluster's pages, on real Linux hosts: a bastion, and behind it the master that EMR made.

mod browser;
mod life;
mod reach;
mod refusals;
mod settings;
mod stack;
