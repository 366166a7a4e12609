//! What a cluster costs an hour, and what it has cost since it came up: EC2's price, EMR's surcharge and the disks, from
//! a dated table. What the table does not have is said to be unknown, never guessed at.

mod machines;
mod table;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, time::Duration};

use machines::{Machines, Way};
pub use table::{Micros, PRICES_DATE, micros};

use crate::{
    resources::EmrClusterObserved,
    spec::{Cluster, Release},
};

/// Hours that AWS counts for a month where it prices disks.
const MONTH: u64 = 730;

/// What a cluster costs while it is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The region.
    pub region: String,
    /// What EC2 takes for the machines an hour.
    pub machines: Micros,
    /// What EMR takes an hour.
    pub surcharge: Micros,
    /// What EBS takes for the disks an hour.
    pub disks: Micros,
    /// Whether it may be less: spot machines, or a choice of types.
    pub at_most: bool,
    /// Whether EMR changes its size by itself.
    pub scales: bool,
    /// What there is no price for; then the figures say nothing.
    pub unknown: BTreeSet<String>,
}

/// What the cluster of a spec costs.
pub fn of_spec(cluster: &Cluster, region: &str) -> Cost {
    let root = machines::root_disk(*cluster.release, cluster.root_disk_gib.as_ref().map(|gib| gib.value));
    let mut cost = of(region, *cluster.release, root, &machines::asked(cluster));
    cost.scales = cluster.managed_scaling.is_some();
    cost
}

/// What a cluster that is there costs at its present size.
pub fn of_cluster(cluster: &EmrClusterObserved, region: &str) -> Cost {
    let Some(release) = release(&cluster.release) else {
        return Cost { unknown: BTreeSet::from([cluster.release.clone()]), ..nothing(region) };
    };
    let root = machines::root_disk(release, cluster.root_disk_gib);
    let mut cost = of(region, release, root, &machines::there(cluster));
    cost.scales = cluster.managed_scaling.is_some();
    cost
}

fn release(label: &str) -> Option<Release> {
    let mut numbers = label.strip_prefix("emr-")?.split('.').map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(Release { major: next()?, minor: next()?, patch: next()? })
}

fn nothing(region: &str) -> Cost {
    Cost {
        region: region.to_owned(),
        machines: 0,
        surcharge: 0,
        disks: 0,
        at_most: false,
        scales: false,
        unknown: BTreeSet::new(),
    }
}

fn of(region: &str, release: Release, root: (&str, u32), all: &[Machines]) -> Cost {
    let mut cost = nothing(region);
    if !table::knows(region) {
        cost.unknown.insert(format!("region {region}"));
        return cost;
    }
    for machines in all {
        // Of several ways, the dearest: EMR takes what there is.
        let ways = machines.ways.iter().map(|way| of_way(region, release, root, way, &mut cost.unknown));
        let ways: Vec<[Micros; 3]> = ways.collect();
        let Some([ec2, emr, disks]) = ways.into_iter().max_by_key(|parts| parts.iter().sum::<Micros>()) else {
            continue;
        };
        cost.machines += ec2;
        cost.surcharge += emr;
        cost.disks += disks;
        cost.at_most |= machines.ways.len() > 1 || machines.ways.iter().any(|way| way.spot > 0);
    }
    cost
}

/// What one way to get machines costs an hour: EC2, EMR, EBS.
fn of_way(
    region: &str,
    release: Release,
    (root_type, root_gib): (&str, u32),
    way: &Way,
    unknown: &mut BTreeSet<String>,
) -> [Micros; 3] {
    let Way { instance_type, on_demand, spot, cap, disks } = way;
    let count = Micros::from(on_demand + spot);
    if count == 0 {
        return [0; 3];
    }
    let Some((price, surcharge)) = table::machine(region, instance_type) else {
        unknown.insert(instance_type.clone());
        return [0; 3];
    };
    // Spot never costs more than on demand.
    let spot_price = cap.as_deref().and_then(micros).map_or(price, |cap| cap.min(price));
    let mut each = vec![(root_type.to_owned(), root_gib)];
    match (disks, machines::default_disks(release, instance_type)) {
        (Some(disks), _) => each.extend(disks.iter().cloned()),
        (None, Some((number, gib))) => each.extend((0..number).map(|_| ("gp2".to_owned(), gib))),
        (None, None) => drop(unknown.insert(format!("the disks of {instance_type}"))),
    }
    let mut monthly = 0;
    for (kind, gib) in each {
        match table::disk(region, &kind) {
            Some(price) => monthly += price * Micros::from(gib),
            None => drop(unknown.insert(format!("disks of type {kind}"))),
        }
    }
    let ec2 = price * Micros::from(*on_demand) + spot_price * Micros::from(*spot);
    [ec2, surcharge * count, monthly * count / MONTH]
}

impl Cost {
    /// Millionths of a US dollar an hour; nothing where a price is not known.
    pub fn hourly(&self) -> Option<Micros> {
        self.unknown.is_empty().then_some(self.machines + self.surcharge + self.disks)
    }

    /// What it has cost in the time that it has been up, at its present size.
    pub fn after(&self, up: Duration) -> Option<Micros> {
        let hourly = u128::from(self.hourly()?);
        Micros::try_from(hourly * u128::from(up.as_secs()) / 3600).ok()
    }

    /// A sentence about an hour of it, without its subject: `costs 0.75 US dollars an hour (…)`.
    pub fn sentence(&self) -> String {
        let Self { region, machines, surcharge, disks, at_most, scales, unknown } = self;
        let Some(hourly) = self.hourly() else { return unpriced(region, unknown) };
        let bound = if *at_most { "at most " } else { "" };
        let scaling = if *scales { " before EMR scales it" } else { "" };
        format!(
            "costs {bound}{} US dollars an hour{scaling} ({} for machines, {} for EMR, {} for disks; list prices of \
             {region} as of {PRICES_DATE})",
            dollars(hourly),
            dollars(*machines),
            dollars(*surcharge),
            dollars(*disks)
        )
    }

    /// A sentence about what it has cost, likewise: `has cost about 1.50 US dollars in 2 h 0 min`.
    pub fn so_far(&self, up: Duration) -> String {
        let Some(total) = self.after(up) else { return unpriced(&self.region, &self.unknown) };
        let bound = if self.at_most { "at most " } else { "about " };
        let minutes = up.as_secs() / 60;
        let (hours, minutes) = (minutes / 60, minutes % 60);
        let time = if hours > 0 { format!("{hours} h {minutes} min") } else { format!("{minutes} min") };
        format!("has cost {bound}{} US dollars in {time}, at its present size", dollars(total))
    }
}

fn unpriced(region: &str, unknown: &BTreeSet<String>) -> String {
    if !table::knows(region) {
        let known = table::regions();
        return format!("costs what is not known here: there are prices for {known} only, as of {PRICES_DATE}");
    }
    let unknown: Vec<&str> = unknown.iter().map(String::as_str).collect();
    format!(
        "costs what is not known here: the prices of {region} as of {PRICES_DATE} do not name {}",
        unknown.join(", ")
    )
}

/// `0.75`, rounded up to the cent: nothing costs less than it seems.
pub fn dollars(micros: Micros) -> String {
    let cents = micros.div_ceil(10_000);
    format!("{}.{:02}", cents / 100, cents % 100)
}
