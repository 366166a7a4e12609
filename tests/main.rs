//! The one integration binary: two that link the AWS SDK would cost twice.

mod cli;
mod crash;
mod kinds;
mod rules;
mod support;
