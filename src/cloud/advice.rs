//! What to do about the usual AWS errors.

use super::CloudError;

/// What to do, a sentence each; empty where the error speaks for itself.
pub fn advice(error: &CloudError) -> Vec<String> {
    let operation = error.operation;
    let Some(code) = error.code.as_deref() else { return no_answer(error) };
    let text = match code {
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "UnauthorizedAccess" => {
            format!("the credentials in use lack the action `{operation}`; ask for a policy that allows it")
        }
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" | "TokenRefreshRequired" => {
            "the credentials have expired; sign in again (`aws sso login`, or new keys)".into()
        }
        "InvalidClientTokenId" | "SignatureDoesNotMatch" | "AuthFailure" | "UnrecognizedClientException" => {
            "AWS does not accept the credentials; check AWS_PROFILE and the keys, and this machine's clock".into()
        }
        "OptInRequired" | "InvalidRegion" => {
            "the region is not enabled for this account; enable it in the console, or change `region`".into()
        }
        "IdempotentParameterMismatch" => {
            "an interrupted run asked for this object with other values; wait 15 minutes, or restore those values".into()
        }
        "InsufficientInstanceCapacity" => {
            "AWS has none of this instance type left in the zone; try another `zone`, another `type`, or later".into()
        }
        "DependencyViolation" | "InvalidIPAddress.InUse" | "ResourceInUse" | "DeleteConflict" => {
            "something that is not in the spec still uses it; remove that, then run the same command again".into()
        }
        "OperationNotPermitted" => {
            "termination protection is on; set `protect: false`, apply, then try again".into()
        }
        "BucketAlreadyExists" => {
            "bucket names are shared by all of AWS and somebody else has this one; choose another, e.g. with ${account} in it".into()
        }
        "MalformedPolicyDocument" | "MalformedPolicy" => {
            "AWS does not accept the policy; a principal that was made a moment ago, or a misspelt action, are the usual reasons".into()
        }
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequestsException" | "SlowDown" => {
            "AWS slows the account down; run the same command again, with a smaller --parallelism".into()
        }
        code if code.ends_with("LimitExceeded") || code.ends_with("LimitExceededException") => {
            format!("the account's quota is used up ({code}); delete what is not needed or ask for more in Service Quotas")
        }
        "ValidationException" | "InvalidRequestException" if operation.starts_with("elasticmapreduce:") => {
            return emr(&error.message).into_iter().collect();
        }
        _ => return Vec::new(),
    };
    vec![text]
}

fn no_answer(error: &CloudError) -> Vec<String> {
    let message = error.message.to_lowercase();
    let hint = if message.contains("credential") {
        "no AWS credentials were found: set AWS_PROFILE, sign in, or try `--local`"
    } else if message.contains("connect") || message.contains("dns") || message.contains("timed out") {
        "it cannot be reached: for AWS check the network and proxy settings, for the local cloud see `infra local status`"
    } else {
        return Vec::new();
    };
    vec![hint.into()]
}

/// EMR says nearly everything with one code; its texts tell what is meant. Source: AWS's EMR troubleshooting pages.
fn emr(message: &str) -> Option<String> {
    const TEXTS: &[(&str, &str)] = &[
        (
            "is not supported",
            "the release does not know the instance type; m5.xlarge and m4.large work with every emr-5 release",
        ),
        ("insufficient EC2 permissions", "the service role needs AmazonElasticMapReduceRole (`access.roles`)"),
        (
            "is invalid",
            "the role needs the right `trust`, and the nodes' role an instance profile of the same name (`profile: true`)",
        ),
        ("ServiceAccessSecurityGroup", "a private subnet needs the service-access group beside the two managed ones"),
        ("port 9443", "from emr-5.30.0 the service-access group lets the master in on 9443"),
        (
            "Cannot find route to InternetGateway",
            "a public subnet needs `route: internet`; a private one `route: nat` or endpoints",
        ),
        (
            "termination protected",
            "termination protection is on; set `termination_protection: false` in the spec and apply",
        ),
    ];
    TEXTS.iter().find(|(text, _)| message.contains(text)).map(|(_, hint)| (*hint).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(operation: &'static str, code: &str, message: &str) -> CloudError {
        CloudError { operation, code: Some(code.into()), message: message.into(), request_id: None }
    }

    #[test]
    fn a_denied_request_names_the_missing_action() {
        let hints = advice(&error("ec2:CreateVpc", "UnauthorizedOperation", "You are not authorized"));
        assert!(hints[0].contains("`ec2:CreateVpc`"), "{hints:?}");
    }

    #[test]
    fn a_limit_names_the_quota() {
        let hints = advice(&error("ec2:CreateVpc", "VpcLimitExceeded", "The maximum number of VPCs has been reached."));
        assert!(hints[0].contains("VpcLimitExceeded"), "{hints:?}");
    }

    #[test]
    fn emr_is_told_apart_by_its_text() {
        let hints = advice(&error(
            "elasticmapreduce:RunJobFlow",
            "ValidationException",
            "Instance type 't2.micro' is not supported on AMI/Release",
        ));
        assert!(hints[0].contains("m5.xlarge"), "{hints:?}");
    }
}
