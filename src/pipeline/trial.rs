//! A template's own tests, run on this machine with the local cloud's Spark, in one session.

use std::{path::Path, process::Stdio};

use anyhow::{Context, Result};
use tokio::process::Command;

use crate::local::Spark;

/// Sets a session up before any test asks for one, so that all have it and none reaches the network.
const RUNNER: &str = r#"
import sys, unittest
from pyspark.sql import SparkSession
spark = (SparkSession.builder.master("local[2]").appName("infra pipeline test")
         .config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false")
         .config("spark.sql.shuffle.partitions", "2")
         .config("spark.driver.bindAddress", "127.0.0.1").config("spark.driver.host", "127.0.0.1").getOrCreate())
spark.sparkContext.setLogLevel("ERROR")
suite = unittest.defaultTestLoader.discover("tests", top_level_dir="tests")
if not suite.countTestCases():
    sys.exit("there is no test in tests/test_*.py")
result = unittest.TextTestRunner(verbosity=2).run(suite)
spark.stop()
sys.exit(0 if result.wasSuccessful() else 1)
"#;

/// Runs the tests in `template`; returns whether all passed.
pub async fn run(spark: &Spark, template: &Path) -> Result<bool> {
    let mut command = Command::new(&spark.python);
    command.args(["-c", RUNNER]).current_dir(template).stdin(Stdio::null());
    // Nothing of the user's own: no account, no other Spark.
    command.env_clear();
    for name in ["PATH", "HOME", "LANG", "LC_ALL", "TMPDIR"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command.env("JAVA_HOME", &spark.java).env("SPARK_HOME", &spark.home).env("SPARK_LOCAL_IP", "127.0.0.1");
    command.env("PYSPARK_PYTHON", &spark.python).env("PYTHONPATH", ".").env("PYTHONDONTWRITEBYTECODE", "1");
    // The answer is the tests' own; what they print while they run is not data.
    let mut child = command.stdout(Stdio::inherit()).spawn().context("the local cloud's Python cannot be run")?;
    Ok(child.wait().await.context("the tests cannot be waited for")?.success())
}
