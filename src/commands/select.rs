//! `--only`: part of a plan.

use clap::Args;
use engine::{Address, Graph, Inventory, Plan};

use crate::{
    cloud::Cloud,
    error::{Failure, Result},
    spec::nearest,
};

/// Which part of the stack.
#[derive(Args, Clone, Debug, Default)]
pub struct Only {
    /// Only this resource, with what it needs; may be repeated. `subnet/private`, or `subnet` for all of a kind.
    #[arg(long = "only", value_name = "ADDRESS")]
    pub addresses: Vec<String>,
}

impl Only {
    /// Cuts a plan down to what was asked for; an address that names nothing is an error.
    pub fn cut(&self, plan: Plan, desired: &Graph<Cloud>, known: &Inventory) -> Result<Plan> {
        if self.addresses.is_empty() {
            return Ok(plan);
        }
        let all: Vec<String> =
            desired.addresses().chain(known.items().map(|(address, _)| address)).map(ToString::to_string).collect();
        for wanted in &self.addresses {
            if !all.iter().any(|address| names(wanted, address)) {
                let near = nearest(wanted, all.iter().map(String::as_str));
                let failure = Failure::new(format!("--only {wanted}: the stack has nothing of that address"));
                return Err(match near {
                    Some(near) => failure.hint(format!("did you mean `{near}`? `infra status` lists all")),
                    None => failure.hint("`infra status` lists all"),
                });
            }
        }
        let chosen = |address: &Address| self.addresses.iter().any(|wanted| names(wanted, &address.to_string()));
        let part = desired.with_needs(chosen);
        Ok(plan.only(&|address| chosen(address) || part.contains(address)))
    }
}

fn names(wanted: &str, address: &str) -> bool {
    address == wanted || address.strip_prefix(wanted).is_some_and(|rest| rest.starts_with('/'))
}
