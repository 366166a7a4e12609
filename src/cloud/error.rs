//! AWS errors: which operation, which code, which request, and what to do about the usual ones.

use std::fmt;

use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_types::request_id::RequestId;

/// A request that AWS refused, or that did not reach it.
#[derive(Debug)]
pub struct CloudError {
    /// The IAM action: `ec2:CreateVpc`.
    pub operation: &'static str,
    /// AWS's error code; `None` where no answer came.
    pub code: Option<String>,
    /// AWS's message, or what kept the request from being answered.
    pub message: String,
    /// AWS's id of the request.
    pub request_id: Option<String>,
}

impl CloudError {
    /// True when the code is one of `codes`; one that ends in `*` is a prefix, one that begins with `*` a suffix.
    pub fn is(&self, codes: &[&str]) -> bool {
        let Some(code) = self.code.as_deref() else { return false };
        codes.iter().any(|wanted| match (wanted.strip_prefix('*'), wanted.strip_suffix('*')) {
            (Some(suffix), _) => code.ends_with(suffix),
            (_, Some(prefix)) => code.starts_with(prefix),
            _ => code == *wanted,
        })
    }

    /// True when the object that the request names does not exist (any more, or yet).
    pub fn is_missing(&self) -> bool {
        const MISSING: &[&str] = &[
            "*.NotFound",
            "*NotFound",
            "NoSuchEntity",
            "NoSuchBucket",
            "NoSuchKey",
            "NotFoundException",
            "NatGatewayNotFound",
            "InvalidVpcEndpointId.NotFound",
            "404",
        ];
        self.is(MISSING)
    }
}

impl fmt::Display for CloudError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{} answered {code}: {}", self.operation, self.message)?,
            None => write!(f, "{} got no answer: {}", self.operation, self.message)?,
        }
        match &self.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for CloudError {}

/// Turns the SDK's result into one that names the operation.
pub trait Explain<T> {
    /// `operation` is the IAM action: `ec2:CreateVpc`.
    fn explain(self, operation: &'static str) -> Result<T, CloudError>;
}

impl<T, E, R> Explain<T> for Result<T, SdkError<E, R>>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: fmt::Debug,
    SdkError<E, R>: RequestId,
{
    fn explain(self, operation: &'static str) -> Result<T, CloudError> {
        // The name and the outcome: bodies may hold secrets.
        let told = self.map_err(|error| {
            let request_id = error.request_id().map(str::to_owned);
            match error.as_service_error() {
                Some(service) => CloudError {
                    operation,
                    code: service.code().map(str::to_owned).or_else(|| Some("Unknown".into())),
                    message: service.message().map_or_else(|| service.to_string(), str::to_owned),
                    request_id,
                },
                None => {
                    CloudError { operation, code: None, message: shortened(&crate::error::causes(&error)), request_id }
                }
            }
        });
        match &told {
            Ok(_) => tracing::debug!(operation, "answered"),
            Err(error) => tracing::debug!(operation, code = error.code, request = error.request_id, "refused"),
        }
        told
    }
}

/// What stands for the SDK's words when it finds no credentials.
pub(super) const NO_CREDENTIALS: &str = "no credentials were found";

/// The SDK lists every place where it looked for credentials, over several lines; one says it.
fn shortened(message: &str) -> String {
    let about_credentials = message.contains("credential") && message.contains("provider");
    if about_credentials { NO_CREDENTIALS.into() } else { message.to_owned() }
}

/// For deletes: an object that is gone already is as wanted.
pub fn gone_is_ok<T>(result: Result<T, CloudError>) -> Result<(), CloudError> {
    match result {
        Err(error) if !error.is_missing() => Err(error),
        _ => Ok(()),
    }
}

/// For reads of what may not be set (a bucket's policy): the codes in `absent` are read as `None`.
pub fn missing_is_none<T>(result: Result<T, CloudError>, absent: &[&str]) -> Result<Option<T>, CloudError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is(absent) => Ok(None),
        Err(error) => Err(error),
    }
}

/// For answers whose one part the API describes as optional although it is always there.
pub trait Answered<T> {
    /// The part, or an error that names the operation.
    fn answered(self, operation: &'static str) -> Result<T, CloudError>;
}

impl<T> Answered<T> for Option<T> {
    fn answered(self, operation: &'static str) -> Result<T, CloudError> {
        self.ok_or_else(|| CloudError {
            operation,
            code: None,
            message: "the answer is empty".into(),
            request_id: None,
        })
    }
}
