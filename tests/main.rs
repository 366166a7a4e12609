//! The one integration binary: two that link the AWS SDK would cost twice.

mod calls;
mod cli;
mod cluster;
mod crash;
mod hosts;
mod kinds;
mod night;
mod pipeline;
mod preflight;
mod rules;
mod support;
mod tunnel;
mod vendas;
