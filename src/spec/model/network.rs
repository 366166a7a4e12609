//! The network: one VPC, its subnets and how each reaches the world.

use ipnet::Ipv4Net;

use super::{Spanned, Table};

/// One VPC with its subnets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The VPC's range, /16 to /28, without host bits.
    pub cidr: Spanned<Ipv4Net>,
    /// Full names of the zones to use, e.g. `us-west-2a`; empty leaves the choice to AWS.
    pub zones: Vec<Spanned<String>>,
    /// Subnets by name, none overlapping, all inside [`Network::cidr`].
    pub subnets: Table<Subnet>,
    /// Gateway endpoints, each in every route table of the stack.
    pub endpoints: Vec<Spanned<Endpoint>>,
}

impl Network {
    /// The subnet that holds the stack's one NAT gateway: the first with `route: internet`.
    /// `None` where no subnet has `route: nat`.
    pub fn nat_subnet(&self) -> Option<&str> {
        self.subnets.values().any(|subnet| *subnet.route == Route::Nat).then_some(())?;
        self.subnets.iter().find(|(_, subnet)| *subnet.route == Route::Internet).map(|(name, _)| name.as_str())
    }

    /// Whether any subnet needs an internet gateway.
    pub fn needs_internet_gateway(&self) -> bool {
        self.subnets.values().any(|subnet| *subnet.route == Route::Internet)
    }
}

/// One subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// Its range, /16 to /28, without host bits.
    pub cidr: Spanned<Ipv4Net>,
    /// Where its default route leads.
    pub route: Spanned<Route>,
    /// Full name of its zone: its own, or the first of [`Network::zones`], or `None` for AWS's choice.
    pub zone: Option<Spanned<String>>,
}

/// Where a subnet's default route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// To the internet gateway; hosts in it get public addresses.
    Internet,
    /// To the stack's NAT gateway: out, but never in.
    Nat,
    /// Nowhere: only the VPC and its endpoints.
    None,
}

/// A service reached without leaving AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The S3 gateway endpoint; it costs nothing.
    S3,
}
