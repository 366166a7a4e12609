//! What one part of a spec demands of another.

use std::collections::HashMap;

use super::{
    decode::Decoder,
    error::{Diagnostic, choices},
    model::{Endpoint, Host, Orchestrator, Pipeline, Place, Role, Route, Service, Span, Spanned, Spec, Text, Trust},
    tree::Data,
};

/// Checks everything that needs more than one section.
pub(super) fn all(decoder: &Decoder<'_>, spec: &Spec) {
    same_names(decoder, spec);
    hosts(decoder, spec);
    cycles(decoder, spec);
    cluster(decoder, spec);
    pipelines(decoder, spec);
    old_policies(decoder, spec);
}

/// Two things that would be one on AWS.
fn same_names(decoder: &Decoder<'_>, spec: &Spec) {
    let check = |kind: &str, fold: bool, names: Vec<(&str, &Spanned<Text>)>| {
        let mut seen: HashMap<String, (&str, &Span)> = HashMap::new();
        for (name, text) in names {
            let sample = text.sample();
            let sample = if fold { sample.to_lowercase() } else { sample };
            if let Some((other, first)) = seen.get(&sample) {
                let message = format!("{kind} `{other}` and `{name}` are both named `{}` on AWS", text.shown());
                decoder.report(
                    Diagnostic::at(&text.span, message)
                        .related(first, "first here")
                        .hint("give one of them another `name`"),
                );
            } else {
                seen.insert(sample, (name, &text.span));
            }
        }
    };
    check("buckets", false, spec.buckets.iter().map(|(name, bucket)| (name.as_str(), &bucket.name)).collect());
    check("keys", false, spec.keys.iter().map(|(name, key)| (name.as_str(), &key.name)).collect());
    // IAM compares names without regard to case.
    check("roles", true, spec.access.roles.iter().map(|(name, role)| (name.as_str(), &role.name)).collect());
    check("users", true, spec.access.users.iter().map(|(name, user)| (name.as_str(), &user.name)).collect());
    check("policies", true, spec.access.policies.iter().map(|(name, policy)| (name.as_str(), &policy.name)).collect());
}

/// Whether AWS gives a host a public address.
fn public(spec: &Spec, host: &Host) -> bool {
    let subnet = host.instance().and_then(|instance| spec.network.as_ref()?.subnets.get(&instance.subnet.value));
    subnet.is_some_and(|subnet| *subnet.route == Route::Internet)
}

fn hosts(decoder: &Decoder<'_>, spec: &Spec) {
    let mut addresses: HashMap<std::net::Ipv4Addr, (&str, &Span)> = HashMap::new();
    for (name, host) in &spec.hosts {
        let Place::Instance(instance) = &host.place else { continue };
        let subnet = spec.network.as_ref().and_then(|network| network.subnets.get(&instance.subnet.value));
        if let Some(role) = &instance.role {
            needs_profile(decoder, spec, role, &format!("host `{name}`"));
        }
        let Some(subnet) = subnet else { continue };
        let public = *subnet.route == Route::Internet;
        if !public && host.via.is_none() && instance.ssh_from.is_empty() {
            let gates: Vec<&str> =
                spec.hosts.iter().filter(|(_, host)| self::public(spec, host)).map(|(name, _)| name.as_str()).collect();
            let hint = match &*gates {
                [] => "put a host in a subnet with `route: internet`, and name it here as `via`".to_owned(),
                gates => format!("go through another host: `via:` {}", choices(gates.iter().copied())),
            };
            let message =
                format!("nobody can reach host `{name}`: subnet `{}` gives no public addresses", instance.subnet.value);
            decoder.report(Diagnostic::at(&instance.subnet.span, message).hint(hint));
        }
        let is_gate = spec.hosts.values().any(|other| other.via.as_ref().is_some_and(|via| via.value == *name));
        if public
            && host.via.is_none()
            && instance.ssh_from.is_empty()
            && (is_gate || host.users.is_some() || !host.services.is_empty())
        {
            let error = Diagnostic::at(&host.span, format!("nobody may reach host `{name}` by SSH"));
            decoder.report(error.hint("say who: `ssh_from: [YOUR-ADDRESS/32]`"));
        }
        if let Some(elastic) = Some(&instance.elastic_ip).filter(|elastic| elastic.value && !public) {
            let message = format!(
                "a public address is of no use to host `{name}`: subnet `{}` has no internet gateway",
                instance.subnet.value
            );
            decoder.report(
                Diagnostic::at(&elastic.span, message)
                    .hint("remove `elastic_ip`, or choose a subnet with `route: internet`"),
            );
        }
        if let Some(address) = &instance.private_address {
            let range = subnet.cidr.value;
            let first = u32::from(range.network());
            // AWS keeps the first four addresses of a subnet and the last.
            let free = u32::from(address.value).checked_sub(first).is_some_and(|at| at > 3)
                && address.value < range.broadcast();
            if !free {
                let message = format!("host `{name}` cannot have address {} in {range}", address.value);
                let error = Diagnostic::at(&address.span, message).related(&subnet.cidr.span, "the subnet's range");
                decoder.report(error.hint("AWS keeps the first four addresses of a subnet and the last"));
            }
            if let Some((other, first)) = addresses.insert(address.value, (name, &address.span)) {
                let error = Diagnostic::at(&address.span, format!("hosts `{other}` and `{name}` have one address"));
                decoder.report(error.related(first, "first here").hint("change one"));
            }
        }
    }
}

/// Hosts that SSH would jump through for ever.
fn cycles(decoder: &Decoder<'_>, spec: &Spec) {
    let mut done: Vec<&str> = Vec::new();
    for start in spec.hosts.keys() {
        let mut path: Vec<&str> = Vec::new();
        let mut name = start.as_str();
        while let Some(via) = spec.hosts.get(name).and_then(|host| host.via.as_ref()) {
            if done.contains(&name) {
                break;
            }
            if let Some(at) = path.iter().position(|other| *other == name) {
                let mut circle: Vec<&str> = path[at..].to_vec();
                circle.push(name);
                let error = Diagnostic::at(&via.span, format!("`via` goes in a circle: {}", circle.join(" → ")));
                decoder.report(error.hint("one of them must be reachable by itself"));
                break;
            }
            path.push(name);
            name = &via.value;
        }
        done.extend(path);
    }
}

/// A role used by machines has an instance profile and trusts EC2.
fn needs_profile(decoder: &Decoder<'_>, spec: &Spec, role: &Spanned<String>, who: &str) {
    let Some(definition) = spec.access.roles.get(&role.value) else { return };
    if !*definition.profile {
        let error =
            Diagnostic::at(&role.span, format!("{who} needs an instance profile, and role `{}` has none", role.value));
        decoder.report(error.related(&definition.span, "the role").hint("add `profile: true` to the role"));
    }
    trusts(decoder, definition, role, "ec2", who);
}

fn trusts(decoder: &Decoder<'_>, definition: &Spanned<Role>, role: &Spanned<String>, service: &str, who: &str) {
    // A whole document is the author's own affair: it may use conditions.
    let Trust::Services(services) = &definition.trust else { return };
    if !services.is_empty() && services.iter().all(|trusted| trusted.value != service) {
        let error = Diagnostic::at(
            &role.span,
            format!("{who} needs a role that `{service}` may assume, and `{}` is not", role.value),
        );
        decoder.report(error.related(&services[0].span, "its trust").hint(format!("add `{service}` to its `trust`")));
    }
}

fn cluster(decoder: &Decoder<'_>, spec: &Spec) {
    let Some(cluster) = &spec.cluster else { return };
    needs_profile(decoder, spec, &cluster.node_role, "the cluster's nodes");
    if let Some(role) = spec.access.roles.get(&cluster.service_role.value) {
        trusts(decoder, role, &cluster.service_role, "elasticmapreduce", "the cluster");
    }
    if let Some(reaper) = &cluster.reaper {
        if cluster.idle_timeout.is_none() && cluster.max_lifetime.is_none() {
            let error = Diagnostic::at(&reaper.span, "`reaper` has nothing to do without `idle_timeout`");
            decoder.report(error.hint("add e.g. `idle_timeout: 1h`"));
        }
        if spec.hosts.get(&reaper.value).is_some_and(|host| host.instance().is_none()) {
            let message = format!("host `{}` is a server, and no role of AWS lets it end the cluster", reaper.value);
            decoder.report(Diagnostic::at(&reaper.span, message).hint("name a host with a `subnet`, e.g. the bastion"));
        }
    }
    let Some(network) = &spec.network else { return };
    let s3 = network.endpoints.iter().any(|endpoint| endpoint.value == Endpoint::S3);
    let route = network.subnets.get(&cluster.subnet.value).map(|subnet| *subnet.route);
    if route == Some(Route::None) && !s3 {
        let error = Diagnostic::at(
            &cluster.subnet.span,
            format!("the cluster cannot reach S3 from subnet `{}`", cluster.subnet.value),
        );
        decoder
            .report(error.hint("add `endpoints: [s3]` to the network; EMR needs it in a subnet without a route out"));
    }
}

fn pipelines(decoder: &Decoder<'_>, spec: &Spec) {
    for (name, pipeline) in &spec.pipelines {
        let service = match *pipeline.orchestrator {
            Orchestrator::Luigi => "luigi",
            Orchestrator::Airflow => "airflow",
            Orchestrator::Steps => {
                if decoder.root.get("cluster").is_none() {
                    let error = Diagnostic::at(
                        &pipeline.orchestrator.span,
                        format!("pipeline `{name}` runs on EMR, and the spec has no `cluster`"),
                    );
                    decoder.report(error.hint("declare the cluster"));
                }
                on_no_host(decoder, name, pipeline);
                continue;
            }
        };
        if service == "airflow"
            && let Some(alert) = pipeline.alerts.first()
        {
            let message = format!("`alerts` of pipeline `{name}` would never run: Airflow has its own");
            let hint = "remove `alerts`, and give the DAG an `on_failure_callback` or `on_success_callback`";
            decoder.report(Diagnostic::at(&alert.span, message).hint(hint));
        }
        let Some((on, host)) = pipeline.on.as_ref().and_then(|on| Some((on, spec.hosts.get(&on.value)?))) else {
            continue;
        };
        let runs = host.services.values().any(|running| {
            matches!((&running.value, service), (Service::Luigi(_), "luigi") | (Service::Airflow(_), "airflow"))
        });
        let written = decoder.root.get("hosts").and_then(|(_, hosts)| hosts.get(&on.value)?.1.get("services"));
        let complete = written.is_none_or(|(_, services)| match &services.data {
            Data::Map(entries) => entries.len() == host.services.len(),
            _ => true,
        });
        if !runs && complete {
            let error = Diagnostic::at(&on.span, format!("pipeline `{name}` needs {service} on host `{}`", on.value));
            decoder.report(
                error
                    .related(&host.span, "the host")
                    .hint(format!("add `services: {{ {service}: {{}} }}` to the host")),
            );
        }
    }
}

/// What only a host could do for a pipeline that has none.
fn on_no_host(decoder: &Decoder<'_>, name: &str, pipeline: &Pipeline) {
    let report = |span: &Span, message: String, hint: &str| {
        let error = Diagnostic::at(span, message);
        decoder.report(error.related(&pipeline.orchestrator.span, "it runs on no host").hint(hint));
    };
    for (secret, source) in &pipeline.secrets {
        let message =
            format!("secret `{secret}` of pipeline `{name}` has no host to be put on with `orchestrator: steps`");
        let hint = "remove it, and have the job read it from AWS Secrets Manager; or run the pipeline by `luigi` or \
                    `airflow`";
        report(&source.span, message, hint);
    }
    if let Some(schedule) = &pipeline.schedule {
        let message = format!("pipeline `{name}` has nobody to start it at that time with `orchestrator: steps`");
        let hint = "remove `schedule`, and have a timer of your own call `infra pipeline run --yes`; or run the \
                    pipeline by `luigi` or `airflow`";
        report(&schedule.span, message, hint);
    }
    if let Some(alert) = pipeline.alerts.first() {
        let message = format!("`alerts` of pipeline `{name}` have no host to run on with `orchestrator: steps`");
        let hint = "remove them, and go by the exit code of `infra pipeline run`; or run the pipeline by `luigi`";
        report(&alert.span, message, hint);
    }
}

/// Policies of the first version work, but AWS calls them deprecated.
fn old_policies(decoder: &Decoder<'_>, spec: &Spec) {
    let old = ["AmazonElasticMapReduceFullAccess", "AmazonElasticMapReduceRole"];
    let roles = spec.access.roles.values().map(|role| &role.grants);
    let users = spec.access.users.values().map(|user| &user.grants);
    for policy in roles.chain(users).flat_map(|grants| &grants.managed) {
        let name = policy.name();
        if old.contains(&name.as_str()) {
            decoder.note(
                &policy.span,
                format!("AWS calls {name} deprecated; it works, and its successor needs tags on cluster and network"),
            );
        }
    }
}
