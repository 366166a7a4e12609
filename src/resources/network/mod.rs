//! What carries traffic and says which may pass.

mod elastic_ip;
mod internet_gateway;
mod nat_gateway;
mod route_table;
mod rule;
mod security_group;
mod security_group_rules;
mod subnet;
mod vpc;
mod vpc_endpoint;

use aws_sdk_ec2::types::Filter;
use engine::Kind;

use crate::cloud::{Cloud, STACK_TAG, Tags, claimed_name};
pub use elastic_ip::{ElasticIp, ElasticIpObserved};
pub use internet_gateway::{InternetGateway, InternetGatewayObserved};
pub use nat_gateway::{NatGateway, NatGatewayObserved};
pub use route_table::{RouteTable, RouteTableObserved, RouteTarget};
pub use rule::{Peer, Rule, RuleFacts, RuleKey};
pub use security_group::{SecurityGroup, SecurityGroupObserved};
pub use security_group_rules::{SecurityGroupRules, SecurityGroupRulesObserved};
pub use subnet::{Subnet, SubnetObserved};
pub use vpc::{Vpc, VpcObserved};
pub use vpc_endpoint::{VpcEndpoint, VpcEndpointObserved};

/// This room's rows of the registry.
pub(super) fn kinds() -> Vec<Kind<Cloud>> {
    vec![
        Kind::of::<Vpc>(),
        Kind::of::<InternetGateway>(),
        Kind::of::<Subnet>(),
        Kind::of::<ElasticIp>(),
        Kind::of::<NatGateway>(),
        Kind::of::<RouteTable>(),
        Kind::of::<VpcEndpoint>(),
        Kind::of::<SecurityGroup>(),
        Kind::of::<SecurityGroupRules>(),
    ]
}

/// The filter of a describe call that takes any of `values`.
fn filter<const N: usize>(name: &str, values: [&str; N]) -> Filter {
    Filter::builder().name(name).set_values(Some(values.map(str::to_owned).to_vec())).build()
}

/// The name that the tags of one of the stack's objects claim. For the describe calls whose tag filter an emulator may
/// ignore: the filter saves pages, the tags decide.
fn claimed_in(cloud: &Cloud, tags: &Tags, kind: &str) -> Option<String> {
    if tags.get(STACK_TAG) == Some(&cloud.names.stack) { claimed_name(tags, kind) } else { None }
}

/// A range as AWS keeps it: no bits beyond the prefix, the short form of IPv6. What is no range stays as it is.
/// Source: `CreateRoute` and `AuthorizeSecurityGroupIngress` in the Amazon EC2 API reference.
fn canonical_range(text: &str) -> String {
    text.parse::<ipnet::IpNet>().map_or_else(|_| text.to_owned(), |range| range.trunc().to_string())
}
