//! The Spark of the local cloud, for whoever wants to run something on it without a cluster.

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context, bail};
use serde::Deserialize;
use tokio::process::Command;

use super::install;

/// A Spark on this machine.
#[derive(Clone, Debug, Deserialize)]
pub struct Spark {
    /// The interpreter that has PySpark.
    pub python: PathBuf,
    /// What `SPARK_HOME` names.
    pub home: PathBuf,
    /// What `JAVA_HOME` names.
    pub java: PathBuf,
}

const ASK: &str = r#"
import json, sys
from infra_local.spark import installation
try:
    found = installation.ensure(lambda text: print(text, file=sys.stderr))
except installation.SparkError as error:
    sys.exit(str(error))
print(json.dumps({"python": str(found.python), "home": str(found.spark), "java": str(found.java)}))
"#;

/// The installed Spark; installs it where it is not.
pub async fn spark() -> anyhow::Result<Spark> {
    let python = install::ensure().await?;
    let mut command = Command::new(&python.program);
    command.args(["-c", ASK]).env("PYTHONPATH", &python.packages).stdin(Stdio::null()).stderr(Stdio::piped());
    let output = command.output().await.context("the local cloud's Python cannot be run")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).context("what the local cloud says of its Spark cannot be understood")
}
