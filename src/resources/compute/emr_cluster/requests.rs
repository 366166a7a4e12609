//! What EMR is told: our words in its types.

use anyhow::Context;
use aws_sdk_emr::types::{
    AutoTerminationPolicy, BootstrapActionConfig, ComputeLimits, ComputeLimitsUnitType, Configuration,
    EbsBlockDeviceConfig, EbsConfiguration, InstanceFleetConfig, InstanceFleetProvisioningSpecifications,
    InstanceFleetType, InstanceGroupConfig, InstanceRoleType, InstanceTypeConfig, ManagedScalingPolicy, MarketType,
    ScriptBootstrapActionConfig, SpotProvisioningSpecification, SpotProvisioningTimeoutAction, Tag,
    VolumeSpecification,
};
use engine::Result;

use super::{
    BootstrapAction, ClusterConfiguration, ScalingLimits, ScalingUnit,
    nodes::{NodeDisk, NodeFleet, NodeGroup, NodeMarket, SpotFallback},
};
use crate::cloud::Tags;

/// EMR counts with `i32`.
pub(super) fn int(value: u32) -> i32 {
    value.try_into().unwrap_or(i32::MAX)
}

pub(super) fn group(role: InstanceRoleType, of: &NodeGroup) -> InstanceGroupConfig {
    let NodeGroup { instance_type, count, market, disk } = of;
    let request = InstanceGroupConfig::builder().name(role.as_str().to_lowercase()).instance_role(role);
    let request = request.instance_type(instance_type).instance_count(int(*count));
    let request = match market {
        NodeMarket::OnDemand => request.market(MarketType::OnDemand),
        NodeMarket::Spot { max_price } => request.market(MarketType::Spot).set_bid_price(max_price.clone()),
    };
    request.set_ebs_configuration(disk.as_ref().map(disks)).build()
}

pub(super) fn fleet(role: InstanceFleetType, of: &NodeFleet) -> InstanceFleetConfig {
    let NodeFleet { on_demand, spot, types, spot_wait_minutes, fallback } = of;
    let types = types.iter().map(|of| {
        let super::nodes::FleetType { instance_type, weight, max_price, disk } = of;
        let request = InstanceTypeConfig::builder().instance_type(instance_type).weighted_capacity(int(*weight));
        request.set_bid_price(max_price.clone()).set_ebs_configuration(disk.as_ref().map(disks)).build()
    });
    let request = InstanceFleetConfig::builder().name(role.as_str().to_lowercase()).instance_fleet_type(role);
    let request = request.target_on_demand_capacity(int(*on_demand)).target_spot_capacity(int(*spot));
    let request = request.set_instance_type_configs(Some(types.collect()));
    if *spot == 0 {
        return request.build();
    }
    let action = match fallback {
        SpotFallback::OnDemand => SpotProvisioningTimeoutAction::SwitchToOnDemand,
        SpotFallback::Terminate => SpotProvisioningTimeoutAction::TerminateCluster,
    };
    let rule = SpotProvisioningSpecification::builder().timeout_action(action);
    let rule = rule.timeout_duration_minutes(int(*spot_wait_minutes)).build();
    request
        .launch_specifications(InstanceFleetProvisioningSpecifications::builder().spot_specification(rule).build())
        .build()
}

fn disks(of: &NodeDisk) -> EbsConfiguration {
    let NodeDisk { gib, volume_type, count } = of;
    let volume = VolumeSpecification::builder().volume_type(volume_type).size_in_gb(int(*gib)).build();
    let device = EbsBlockDeviceConfig::builder().volume_specification(volume).volumes_per_instance(int(*count));
    EbsConfiguration::builder().ebs_block_device_configs(device.build()).build()
}

pub(super) fn configurations(of: &[ClusterConfiguration]) -> Vec<Configuration> {
    let one = |of: &ClusterConfiguration| {
        let ClusterConfiguration { classification, properties, configurations: nested } = of;
        let properties = properties.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let request = Configuration::builder().classification(classification).set_properties(Some(properties));
        request.set_configurations((!nested.is_empty()).then(|| configurations(nested))).build()
    };
    of.iter().map(one).collect()
}

pub(super) fn bootstrap(of: &BootstrapAction) -> BootstrapActionConfig {
    let BootstrapAction { name, path, arguments } = of;
    let script = ScriptBootstrapActionConfig::builder().path(path).set_args(Some(arguments.clone())).build();
    BootstrapActionConfig::builder().name(name).script_bootstrap_action(script).build()
}

pub(super) fn scaling(of: &ScalingLimits) -> ManagedScalingPolicy {
    let ScalingLimits { unit, min, max, max_on_demand, max_core } = of;
    let unit = match unit {
        ScalingUnit::Instances => ComputeLimitsUnitType::Instances,
        ScalingUnit::Vcpu => ComputeLimitsUnitType::Vcpu,
        ScalingUnit::FleetUnits => ComputeLimitsUnitType::InstanceFleetUnits,
    };
    let limits = ComputeLimits::builder().unit_type(unit).minimum_capacity_units(int(*min));
    let limits = limits.maximum_capacity_units(int(*max)).set_maximum_on_demand_capacity_units(max_on_demand.map(int));
    let limits = limits.set_maximum_core_capacity_units(max_core.map(int)).build();
    ManagedScalingPolicy::builder().compute_limits(limits).build()
}

pub(super) fn idle(seconds: u64) -> Result<AutoTerminationPolicy> {
    let seconds = i64::try_from(seconds).context("the idle time is beyond what EMR can count")?;
    Ok(AutoTerminationPolicy::builder().idle_timeout(seconds).build())
}

pub(super) fn tags(of: &Tags) -> Vec<Tag> {
    of.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}
