//! What stands in the way of a delete that AWS refused.

use aws_sdk_ec2::types::Filter;

use super::{Cloud, CloudError};

impl Cloud {
    /// For an object that AWS will not delete because something uses it: what that is, a sentence each. Best effort: a
    /// question that AWS does not answer adds nothing to the error that is being explained.
    pub async fn obstacles(&self, error: &CloudError, id: Option<&str>) -> Vec<String> {
        let (Some(id), true) = (id, error.is(&["DependencyViolation", "InvalidIPAddress.InUse"])) else {
            return Vec::new();
        };
        let filter = |name: &str| Filter::builder().name(name).values(id).build();
        let by = match id.split('-').next() {
            Some("vpc") => "vpc-id",
            Some("subnet") => "subnet-id",
            Some("sg") => "group-id",
            _ => return Vec::new(),
        };
        let mut found = Vec::new();
        if let Ok(answer) = self.clients.ec2.describe_network_interfaces().filters(filter(by)).send().await {
            found.extend(answer.network_interfaces().iter().map(|interface| {
                let of = interface.attachment().and_then(|attachment| attachment.instance_id());
                let what = of.or(interface.description()).unwrap_or("unattached");
                format!("{} ({what})", interface.network_interface_id().unwrap_or("a network interface"))
            }));
        }
        match by {
            "vpc-id" => {
                if let Ok(answer) = self.clients.ec2.describe_subnets().filters(filter(by)).send().await {
                    found.extend(answer.subnets().iter().filter_map(|subnet| subnet.subnet_id()).map(str::to_owned));
                }
                if let Ok(answer) = self.clients.ec2.describe_security_groups().filters(filter(by)).send().await {
                    let groups = answer.security_groups().iter().filter(|group| group.group_name() != Some("default"));
                    found.extend(groups.filter_map(|group| group.group_id()).map(str::to_owned));
                }
                let attached = filter("attachment.vpc-id");
                if let Ok(answer) = self.clients.ec2.describe_internet_gateways().filters(attached).send().await {
                    found.extend(
                        answer
                            .internet_gateways()
                            .iter()
                            .filter_map(|gateway| gateway.internet_gateway_id())
                            .map(str::to_owned),
                    );
                }
            }
            "group-id" => {
                let peers = filter("ip-permission.group-id");
                if let Ok(answer) = self.clients.ec2.describe_security_groups().filters(peers).send().await {
                    let groups = answer.security_groups().iter().filter_map(|group| group.group_id());
                    found.extend(groups.map(|group| format!("a rule of {group}")));
                }
            }
            _ => {}
        }
        if found.is_empty() { Vec::new() } else { vec![format!("in the way of {id}: {}", found.join(", "))] }
    }
}
