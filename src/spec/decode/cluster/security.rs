//! Encryption, metadata service and scaling of a cluster.

use super::super::{
    super::{
        error::Diagnostic,
        model::{ClusterSecurity, ManagedScaling, Release, ScalingUnit, Spanned, TransitCertificates},
        shape::{Object, Shape, optional, required},
    },
    Fields, bucket,
};

pub(super) static SECURITY: Object = Object {
    name: "cluster_security",
    doc: "Encryption and metadata service of a cluster (an EMR security configuration).",
    fields: &[
        optional(
            "s3",
            "How EMR encrypts what it writes to S3; as the bucket does unless said.",
            Shape::Word(bucket::ENCRYPTION),
        ),
        optional(
            "disks",
            "Whether local disks are encrypted with the stack's own key; false unless said.",
            Shape::Boolean,
        ),
        optional("in_transit", "Certificates for traffic between nodes: `s3://…/certificates.zip`.", Shape::Text),
        optional("imds", "Metadata service; `v2` unless said, where the release works so.", Shape::Word(IMDS))
            .also(&["imdsv2"]),
    ],
};

const IMDS: &[(&str, &str)] = &[("v2", "IMDSv2 only"), ("v1-and-v2", "IMDSv1 too, which older releases need")];

pub(super) static SCALING: Object = Object {
    name: "managed_scaling",
    doc: "EMR's own scaling.",
    fields: &[
        required("min", "Never fewer.", Shape::Integer(1, 100_000)).also(&["minimum"]),
        required("max", "Never more.", Shape::Integer(1, 100_000)).also(&["maximum"]),
        optional("unit", "What is counted; `instances` unless said, `fleet-units` with fleets.", Shape::Word(UNITS)),
        optional("max_on_demand", "At most so many on demand; all unless said.", Shape::Integer(0, 100_000)),
        optional("max_core", "At most so many core nodes; all unless said.", Shape::Integer(1, 100_000)),
    ],
};

const UNITS: &[(&str, &str)] =
    &[("instances", "machines"), ("vcpu", "virtual processors"), ("fleet-units", "units of fleets")];

/// Reads `security`.
pub(super) fn security(fields: &Fields<'_, '_>, release: Option<Release>) -> Spanned<ClusterSecurity> {
    let decoder = fields.decoder;
    let works = release.is_some_and(Release::works_with_imds_v2_only);
    let none = ClusterSecurity { s3: None, disks: false, in_transit: None, imds_v2_only: works };
    let Some((key, node)) = fields.entry("security") else { return fields.default(none) };
    let Some(fields) = Fields::open(decoder, &SECURITY, "`security` of the cluster", &key.span, node) else {
        return fields.default(none);
    };
    let imds = fields.word("imds");
    if let (Some(imds), Some(release), false) = (imds.as_ref().filter(|word| word.value == "v2"), release, works) {
        let error = Diagnostic::at(&imds.span, format!("{release} does not work with IMDSv2 alone"));
        decoder.report(
            error.hint("only emr-5.23.1, 5.27.1, 5.32.0 and later, and 6.2.0 and later do; write `imds: v1-and-v2`"),
        );
    }
    let s3 = bucket::encryption(&fields, "s3").map(|encryption| encryption.value);
    let disks = fields.boolean_or("disks", false);
    if let Some(release) = release.filter(|release| *disks && !release.has_disk_encryption()) {
        let error = Diagnostic::at(&disks.span, format!("{release} cannot encrypt root disks"));
        decoder.report(error.hint("emr-5.24.0 and later can"));
    }
    let in_transit = fields.text("in_transit").and_then(|object| {
        let sample = object.sample();
        if !(sample.starts_with("s3://") && sample.to_lowercase().ends_with(".zip")) {
            let error = Diagnostic::at(&object.span, "`in_transit` must name a zip file in S3");
            decoder
                .report(error.hint("s3://BUCKET/certificates.zip, with privateKey.pem and certificateChain.pem in it"));
            return None;
        }
        Some(TransitCertificates { object: object.value })
    });
    let imds_v2_only = imds.map_or(works, |word| word.value == "v2");
    Spanned::new(ClusterSecurity { s3, disks: disks.value, in_transit, imds_v2_only }, key.span.clone())
}

/// Reads `managed_scaling`.
pub(super) fn scaling(fields: &Fields<'_, '_>) -> Option<Spanned<ManagedScaling>> {
    let decoder = fields.decoder;
    let (key, node) = fields.entry("managed_scaling")?;
    let fleets = fields.has("fleets");
    let fields = Fields::open(decoder, &SCALING, "`managed_scaling` of the cluster", &key.span, node)?;
    let number =
        |name| fields.integer(name).map(|number| number.map(|number| u32::try_from(number).unwrap_or(u32::MAX)));
    let (min, max) = (number("min"), number("max"));
    let (max_on_demand, max_core) = (number("max_on_demand"), number("max_core"));
    let unit = fields.word("unit");
    let counts_fleets = unit.as_ref().map_or(fleets, |unit| unit.value == "fleet-units");
    if let Some(unit) = unit.as_ref().filter(|_| counts_fleets != fleets) {
        let error = Diagnostic::at(
            &unit.span,
            format!("`unit: {}` does not go with {}", unit.value, if fleets { "fleets" } else { "groups" }),
        );
        decoder.report(error.hint(if fleets {
            "with fleets it is `fleet-units`"
        } else {
            "with groups it is `instances` or `vcpu`"
        }));
    }
    let (min, max) = (min?, max?);
    if min.value > max.value {
        let error = Diagnostic::at(&min.span, format!("`min` {} is more than `max` {}", min.value, max.value));
        decoder.report(error.related(&max.span, "`max` is here").hint("swap them?"));
    }
    for limit in [&max_on_demand, &max_core].into_iter().flatten().filter(|limit| limit.value > max.value) {
        let error = Diagnostic::at(&limit.span, format!("{} is more than `max` {}", limit.value, max.value));
        decoder.report(error.related(&max.span, "`max` is here").hint("lower it, or leave it out"));
    }
    let unit = match unit.map(|unit| unit.value) {
        Some("vcpu") => ScalingUnit::Vcpu,
        _ if counts_fleets => ScalingUnit::FleetUnits,
        _ => ScalingUnit::Instances,
    };
    let value = |number: Option<Spanned<u32>>| number.map(|number| number.value);
    let scaling = ManagedScaling {
        unit,
        min: min.value,
        max: max.value,
        max_on_demand: value(max_on_demand),
        max_core: value(max_core),
    };
    Some(Spanned::new(scaling, key.span.clone()))
}
