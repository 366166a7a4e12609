//! A run by Airflow.

use super::{super::Globals, run::Ready};
use crate::error::{Failure, Result};

pub(super) async fn go(_globals: &Globals, ready: Ready) -> Result {
    Err(Failure::new(format!("pipeline {} is run by airflow", ready.name)))
}
