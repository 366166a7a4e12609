//! Logs, on stderr and only on request. What they hold is chosen so that no secret can be in them.

use tracing_subscriber::EnvFilter;

/// Starts logging: nothing at 0, our own messages at 1, the SDK's requests too at 2 and more.
pub fn start(verbosity: u8) {
    // The SDK's debug logs hold whole bodies, secrets among them; `info` is as far as anybody gets.
    let filter = match verbosity {
        0 => return,
        1 => "infra=debug,engine=debug",
        _ => "infra=trace,engine=trace,aws_config=info,aws_smithy_runtime=info",
    };
    tracing_subscriber::fmt().with_env_filter(EnvFilter::new(filter)).with_writer(std::io::stderr).init();
}
