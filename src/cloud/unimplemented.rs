//! Operations that an emulator may lack, and requests that must be sent once.

use std::{future::Future, time::Duration};

use aws_sdk_emr::config::{Builder, retry::RetryConfig, timeout::TimeoutConfig};
use tokio::time::Instant;

use super::{Cloud, CloudError};

impl CloudError {
    /// True when the service does not know the operation. AWS always does; stock moto ends in a 500 without a code
    /// for some of EMR's. A caller must be right without the answer, for a proxy's error page looks the same.
    pub fn is_unimplemented(&self) -> bool {
        self.is(&["Unknown", "NotImplemented*", "UnknownOperation*"])
    }
}

/// A configuration for one EMR request that the SDK does not repeat: for creates without a client token, and for
/// operations that an emulator may lack, whose answer looks like one worth repeating. An answer that never comes is an
/// error after a while, as the SDK would wait for it for ever.
pub fn emr_once() -> Builder {
    let timeouts = TimeoutConfig::builder().operation_timeout(Duration::from_mins(1));
    Builder::new().retry_config(RetryConfig::disabled()).timeout_config(timeouts.build())
}

impl Cloud {
    /// As [`Cloud::settle`], for services that give one code to everything: `unsettled` looks at the message too.
    pub async fn settle_while<T, F>(
        &self,
        unsettled: impl Fn(&CloudError) -> bool,
        mut send: impl FnMut() -> F,
    ) -> Result<T, CloudError>
    where
        F: Future<Output = Result<T, CloudError>>,
    {
        let start = Instant::now();
        loop {
            match send().await {
                Err(error) if unsettled(&error) && start.elapsed() < self.pace.consistency => {
                    tokio::time::sleep(self.pace.poll).await;
                }
                result => return result,
            }
        }
    }
}
