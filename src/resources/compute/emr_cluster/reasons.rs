//! Why a cluster ended, in words, with what to do about it.

use std::fmt;

/// A cluster ended before it could work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterEnded {
    /// `j-…`.
    pub id: String,
    /// EMR's reason code.
    pub code: Option<String>,
    /// EMR's message.
    pub message: String,
    /// Where its logs go: `s3n://…/`.
    pub log_uri: Option<String>,
}

impl fmt::Display for ClusterEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, code, message, log_uri: _ } = self;
        write!(f, "cluster {id} ended before it was ready: {}", explain_termination(code.as_deref(), message))
    }
}

impl std::error::Error for ClusterEnded {}

/// What EMR's reason code and message mean. The codes are those of `ClusterStateChangeReason` in the Amazon EMR API
/// reference; the messages are those that EMR is known to give.
pub fn explain_termination(code: Option<&str>, message: &str) -> String {
    let what = match code {
        Some("INTERNAL_ERROR") => "EMR failed to start it, often for want of machines",
        Some("VALIDATION_ERROR") => "EMR found what it was asked for to be wrong once it began to make the nodes",
        Some("INSTANCE_FAILURE") => "a node failed, or a spot machine was taken away",
        Some("INSTANCE_FLEET_TIMEOUT") => "a fleet did not get its machines in time",
        Some("BOOTSTRAP_FAILURE") => "a bootstrap action failed on a node",
        Some("USER_REQUEST") => "somebody terminated it",
        Some("STEP_FAILURE") => "a step failed that ends the cluster when it fails",
        Some("ALL_STEPS_COMPLETED") => "all of its steps were done and it was told not to wait for more",
        _ => "EMR gave no reason that is known here",
    };
    let said = match (code, message.trim()) {
        (Some(code), "") => format!("{what} ({code})"),
        (Some(code), message) => format!("{what} ({code}: {message})"),
        (None, "") => what.to_owned(),
        (None, message) => format!("{what} ({message})"),
    };
    match remedy(code, message) {
        Some(remedy) => format!("{said}. {remedy}"),
        None => said,
    }
}

/// What to do, by what the message says and, failing that, by the code.
pub(super) fn remedy(code: Option<&str>, message: &str) -> Option<&'static str> {
    const BY_MESSAGE: &[(&str, &str)] = &[
        ("insufficient capacity", "Try another instance type, another zone, or on demand instead of spot"),
        (
            "is not supported",
            "Choose an instance type or application that the release has (`infra validate` knows them)",
        ),
        (
            "has insufficient EC2 permissions",
            "Attach AmazonElasticMapReduceRole to the service role; the v2 policies also need the tag \
             for-use-with-amazon-emr-managed-policies=true on cluster, VPC, subnet and security groups",
        ),
        ("service role", "The service role must exist and trust elasticmapreduce.amazonaws.com"),
        (
            "InstanceProfile",
            "The nodes' role needs an instance profile of the same name and must trust ec2.amazonaws.com",
        ),
        (
            "ServiceAccessSecurityGroup is missing ingress rule",
            "From release 5.30.0 the service access group needs a rule that lets port 9443 in from the master group",
        ),
        ("ServiceAccessSecurityGroup", "A cluster in a private subnet needs a service access group beside its own two"),
        (
            "public access",
            "Close the group's ports to the world, or change the account's EMR block public access setting",
        ),
        ("InternetGateway", "A public subnet needs a route to an internet gateway: EMR does not reach it through NAT"),
        ("route", "The subnet needs a way out: an internet gateway, or NAT and an S3 endpoint"),
        ("SSH key name", "The key pair must exist in the region"),
        ("vCPU", "Ask for a higher EC2 limit, or use fewer or smaller nodes"),
        ("limit", "Ask for a higher limit, or use fewer or smaller nodes"),
    ];
    let message = message.to_lowercase();
    let by_message = BY_MESSAGE.iter().find(|(text, _)| message.contains(&text.to_lowercase()));
    by_message.map(|(_, remedy)| *remedy).or(match code {
        Some("BOOTSTRAP_FAILURE") => {
            Some("The action's stderr is in the log bucket, under node/INSTANCE/bootstrap-actions/")
        }
        Some("STEP_FAILURE") => Some("The step's stderr is in the log bucket, under steps/STEP/"),
        Some("INSTANCE_FLEET_TIMEOUT") => Some("Name more instance types, or let spot fall back to on demand"),
        Some("INSTANCE_FAILURE") => Some("Start it again; use on-demand nodes where spot is taken away too often"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::explain_termination;

    #[test]
    fn every_code_has_words() {
        const CODES: [&str; 8] = [
            "INTERNAL_ERROR",
            "VALIDATION_ERROR",
            "INSTANCE_FAILURE",
            "INSTANCE_FLEET_TIMEOUT",
            "BOOTSTRAP_FAILURE",
            "USER_REQUEST",
            "STEP_FAILURE",
            "ALL_STEPS_COMPLETED",
        ];
        for code in CODES {
            let words = explain_termination(Some(code), "");
            assert!(!words.contains("no reason") && words.contains(code), "{words}");
        }
        assert_eq!(explain_termination(None, ""), "EMR gave no reason that is known here");
    }

    #[test]
    fn a_known_message_has_a_remedy() {
        let role = "Service role arn:aws:iam::1:role/regras-emr has insufficient EC2 permissions";
        assert_eq!(
            explain_termination(Some("VALIDATION_ERROR"), role),
            "EMR found what it was asked for to be wrong once it began to make the nodes (VALIDATION_ERROR: Service role \
             arn:aws:iam::1:role/regras-emr has insufficient EC2 permissions). Attach AmazonElasticMapReduceRole to the \
             service role; the v2 policies also need the tag for-use-with-amazon-emr-managed-policies=true on cluster, \
             VPC, subnet and security groups"
        );
        let bootstrap = "On the master instance (i-1), bootstrap action 1 returned a non-zero return code";
        let words = explain_termination(Some("BOOTSTRAP_FAILURE"), bootstrap);
        assert!(words.ends_with("under node/INSTANCE/bootstrap-actions/"), "{words}");
    }
}
