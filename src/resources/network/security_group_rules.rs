//! What a security group lets in and out: a set of which single rules are added and revoked, never the whole.
//!
//! Every group of the stack has one, under the group's name: what AWS calls a group's rules exists as long as the
//! group. The rule with which every group is born (everything may go out) is revoked unless it is asked for.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{IpPermission, SecurityGroup as Object};
use engine::{Address, Diff, Effect, Identity, Inventory, Ref, Resource, Result, StepContext};
use serde::Serialize;
use serde_json::json;

use super::{Peer, Rule, RuleFacts, RuleKey, SecurityGroup, rule};
use crate::cloud::{Answered, Cloud, CloudError, Explain, claimed_name, from_ec2};

/// A security group's rules.
#[derive(Clone, Debug, Serialize)]
pub struct SecurityGroupRules {
    /// The group.
    pub group: Ref<SecurityGroup>,
    /// Who may come in.
    pub ingress: BTreeSet<Rule>,
    /// Where one may go.
    pub egress: BTreeSet<Rule>,
    /// EMR adds rules of its own to the groups that it is given, each of which names another of them. Where this is
    /// true, rules whose peer is one of the stack's groups are let be.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub shared_with_emr: bool,
}

/// What AWS reports of a security group's rules.
#[derive(Clone, Debug, Serialize)]
pub struct SecurityGroupRulesObserved {
    /// The group's id.
    pub group: String,
    /// Who may come in.
    pub ingress: BTreeMap<RuleKey, RuleFacts>,
    /// Where one may go.
    pub egress: BTreeMap<RuleKey, RuleFacts>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Ingress,
    Egress,
}

const SIDES: [Side; 2] = [Side::Ingress, Side::Egress];

/// What to do to one side of a group.
struct Work<'a> {
    side: Side,
    add: Vec<(&'a RuleKey, Option<&'a str>)>,
    describe: Vec<(&'a RuleKey, Option<&'a str>)>,
    revoke: Vec<(&'a RuleKey, Option<&'a str>)>,
}

impl Resource<Cloud> for SecurityGroupRules {
    const KIND: &'static str = "security_group_rules";
    const LAYER: &'static str = "network";
    const AFTER: &'static [&'static str] = &["security_group"];
    // They are there as soon as their group is: making them is bringing them to what is wanted.
    const IDENTITY: Identity = Identity::Name;
    const TYPICAL_SECONDS: u32 = 2;
    type Observed = SecurityGroupRulesObserved;

    fn refs(&self) -> Vec<&Address> {
        let Self { group, ingress, egress, shared_with_emr: _ } = self;
        let peers = ingress.iter().chain(egress).filter_map(|rule| match &rule.peer {
            Peer::Group(peer) => Some(peer.address()),
            Peer::Range(_) => None,
        });
        let all: BTreeSet<&Address> = peers.chain([group.address()]).collect();
        all.into_iter().collect()
    }

    async fn observe(cloud: &Cloud, _known: &Inventory) -> Result<Vec<(String, SecurityGroupRulesObserved)>> {
        let groups = cloud.security_groups().await?;
        Ok(read_all(cloud, &groups))
    }

    fn id(observed: &SecurityGroupRulesObserved) -> String {
        observed.group.clone()
    }

    fn diff(&self, observed: &SecurityGroupRulesObserved, known: &Inventory) -> Diff {
        let Self { group, ingress, egress, shared_with_emr } = self;
        let mut diff = Diff::default();
        diff.fixed_link("group", &observed.group, known.get(group).map(|group| group.id.as_str()), group);
        let id = |peer: &Ref<SecurityGroup>| {
            Ok(known.get(peer).map_or_else(|| peer.address().to_string(), |observed| observed.id.clone()))
        };
        for (side, rules) in [(Side::Ingress, ingress), (Side::Egress, egress)] {
            let wanted = resolve(rules, id).unwrap_or_default();
            let work = work(side, observed.side(side), &wanted, *shared_with_emr);
            let changed = work.describe.iter();
            let was = |key: &RuleKey| rule::text(key, observed.side(side)[key].description.as_deref());
            let going: BTreeSet<String> =
                changed.clone().map(|(key, _)| *key).chain(work.revoke.iter().map(|(key, _)| *key)).map(was).collect();
            let coming: BTreeSet<String> =
                changed.chain(&work.add).map(|(key, description)| rule::text(key, *description)).collect();
            if !(going.is_empty() && coming.is_empty()) {
                diff.push(side.name(), json!(going), json!(coming), Effect::InPlace);
            }
        }
        diff
    }

    async fn create(&self, cx: &StepContext<'_, Cloud>) -> Result<SecurityGroupRulesObserved> {
        let (cloud, group) = (cx.world, cx.observed(&self.group)?);
        let request = cloud.clients.ec2.describe_security_groups().group_ids(&group.id);
        let found = cloud.settle(&[], || async {
            let answer = request.clone().send().await.explain("ec2:DescribeSecurityGroups")?;
            answer.security_groups.unwrap_or_default().pop().answered("ec2:DescribeSecurityGroups")
        });
        let born = read(&found.await?, &BTreeSet::from([group.id.as_str()]), &cloud.names.account);
        let mut missing = Diff::default();
        missing.field("ingress", "unknown", "wanted").field("egress", "unknown", "wanted");
        self.update(&born, &missing, cx).await
    }

    async fn update(
        &self,
        observed: &SecurityGroupRulesObserved,
        diff: &Diff,
        cx: &StepContext<'_, Cloud>,
    ) -> Result<SecurityGroupRulesObserved> {
        let (cloud, group) = (cx.world, observed.group.as_str());
        let id = |peer: &Ref<SecurityGroup>| Ok(cx.observed(peer)?.id.clone());
        let (ingress, egress) = (resolve(&self.ingress, id)?, resolve(&self.egress, id)?);
        let sides = [(Side::Ingress, &ingress), (Side::Egress, &egress)];
        let sides = sides.into_iter().filter(|(side, _)| diff.touches(side.name()));
        let all: Vec<Work<'_>> =
            sides.map(|(side, wanted)| work(side, observed.side(side), wanted, self.shared_with_emr)).collect();
        // What comes first, then what goes: nothing that stays allowed is cut off in between.
        for work in &all {
            authorize(cloud, group, work.side, &work.add).await?;
            describe(cloud, group, work.side, &work.describe).await?;
        }
        for work in &all {
            revoke(cloud, group, work.side, &work.revoke).await?;
        }
        let mut after = observed.clone();
        for work in &all {
            let rules = after.side_mut(work.side);
            rules.retain(|key, _| !work.revoke.iter().any(|(gone, _)| *gone == key));
            for (key, description) in work.add.iter().chain(&work.describe) {
                let facts = RuleFacts { description: description.map(str::to_owned), own_peer: key.is_group() };
                rules.insert((*key).clone(), facts);
            }
        }
        Ok(after)
    }

    /// Revokes the group's rules, and those by which the stack's other groups refer to it: EMR adds such rules, and
    /// AWS deletes no group that is referred to.
    async fn delete(observed: &SecurityGroupRulesObserved, cx: &StepContext<'_, Cloud>) -> Result<()> {
        let cloud = cx.world;
        // Another step may have revoked, and EMR added, since the plan was made.
        let groups = engine::World::unread(cloud).security_groups().await?;
        for group in groups.iter() {
            let rules = read(group, &BTreeSet::new(), &cloud.names.account);
            for side in SIDES {
                let all = rules.side(side).iter();
                let own = rules.group == observed.group;
                let revoked = all.filter(|(key, _)| own || key.peer == observed.group);
                let revoked: Vec<_> = revoked.map(|(key, facts)| (key, facts.description.as_deref())).collect();
                revoke(cloud, &rules.group, side, &revoked).await?;
            }
        }
        Ok(())
    }
}

impl SecurityGroupRulesObserved {
    fn side(&self, side: Side) -> &BTreeMap<RuleKey, RuleFacts> {
        match side {
            Side::Ingress => &self.ingress,
            Side::Egress => &self.egress,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut BTreeMap<RuleKey, RuleFacts> {
        match side {
            Side::Ingress => &mut self.ingress,
            Side::Egress => &mut self.egress,
        }
    }
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

type Wanted = BTreeMap<RuleKey, Option<String>>;

/// The rules by key, with the peers' ids as `id` tells them.
fn resolve(rules: &BTreeSet<Rule>, id: impl Fn(&Ref<SecurityGroup>) -> Result<String>) -> Result<Wanted> {
    let keyed = rules.iter().map(|Rule { protocol, ports, peer, description }| {
        let peer = match peer {
            Peer::Range(range) => range.clone(),
            Peer::Group(group) => id(group)?,
        };
        let description = description.clone().filter(|text| !text.is_empty());
        Ok((RuleKey::new(protocol, *ports, &peer), description))
    });
    keyed.collect()
}

fn work<'a>(
    side: Side,
    observed: &'a BTreeMap<RuleKey, RuleFacts>,
    wanted: &'a Wanted,
    shared_with_emr: bool,
) -> Work<'a> {
    let mut work = Work { side, add: Vec::new(), describe: Vec::new(), revoke: Vec::new() };
    for (key, description) in wanted {
        match observed.get(key) {
            None => work.add.push((key, description.as_deref())),
            Some(facts) if facts.description != *description => work.describe.push((key, description.as_deref())),
            Some(_) => {}
        }
    }
    let extra = observed.iter().filter(|(key, _)| !wanted.contains_key(*key));
    work.revoke = extra
        .filter(|(_, facts)| !(shared_with_emr && facts.own_peer))
        .map(|(key, facts)| (key, facts.description.as_deref()))
        .collect();
    work
}

/// Adds rules. AWS takes all or none; where one of them is there already they are sent one at a time.
async fn authorize(cloud: &Cloud, group: &str, side: Side, rules: &[(&RuleKey, Option<&str>)]) -> Result<()> {
    let all: Vec<IpPermission> = rules.iter().map(|(key, description)| key.permission(*description)).collect();
    one_by_one(all, &["InvalidPermission.Duplicate"], |some| async move {
        let send = || async {
            let (ec2, some) = (&cloud.clients.ec2, Some(some.clone()));
            match side {
                Side::Ingress => {
                    let request = ec2.authorize_security_group_ingress().group_id(group).set_ip_permissions(some);
                    request.send().await.explain("ec2:AuthorizeSecurityGroupIngress").map(drop)
                }
                Side::Egress => {
                    let request = ec2.authorize_security_group_egress().group_id(group).set_ip_permissions(some);
                    request.send().await.explain("ec2:AuthorizeSecurityGroupEgress").map(drop)
                }
            }
        };
        cloud.settle(&[], send).await
    })
    .await
}

/// Revokes rules; see [`authorize`]. One that is gone, or whose group is, is as wanted. AWS finds a rule without its
/// description; moto 5.2.5 does not find one between groups so.
async fn revoke(cloud: &Cloud, group: &str, side: Side, rules: &[(&RuleKey, Option<&str>)]) -> Result<()> {
    let all: Vec<IpPermission> = rules.iter().map(|(key, description)| key.permission(*description)).collect();
    one_by_one(all, &["*.NotFound"], |some| async move {
        let ec2 = &cloud.clients.ec2;
        match side {
            Side::Ingress => {
                let request = ec2.revoke_security_group_ingress().group_id(group).set_ip_permissions(Some(some));
                request.send().await.explain("ec2:RevokeSecurityGroupIngress").map(drop)
            }
            Side::Egress => {
                let request = ec2.revoke_security_group_egress().group_id(group).set_ip_permissions(Some(some));
                request.send().await.explain("ec2:RevokeSecurityGroupEgress").map(drop)
            }
        }
    })
    .await
}

/// Changes what rules are said to be for.
async fn describe(cloud: &Cloud, group: &str, side: Side, rules: &[(&RuleKey, Option<&str>)]) -> Result<()> {
    if rules.is_empty() {
        return Ok(());
    }
    let all = Some(rules.iter().map(|(key, description)| key.permission(*description)).collect());
    let ec2 = &cloud.clients.ec2;
    match side {
        Side::Ingress => {
            let request = ec2.update_security_group_rule_descriptions_ingress().group_id(group);
            let answer = request.set_ip_permissions(all).send().await;
            answer.explain("ec2:UpdateSecurityGroupRuleDescriptionsIngress")?;
        }
        Side::Egress => {
            let request = ec2.update_security_group_rule_descriptions_egress().group_id(group);
            let answer = request.set_ip_permissions(all).send().await;
            answer.explain("ec2:UpdateSecurityGroupRuleDescriptionsEgress")?;
        }
    }
    Ok(())
}

/// Sends all at once, and each by itself where the answer is one of `done`: done already for one of them.
async fn one_by_one<F>(all: Vec<IpPermission>, done: &[&str], send: impl Fn(Vec<IpPermission>) -> F) -> Result<()>
where
    F: Future<Output = Result<(), CloudError>>,
{
    if all.is_empty() {
        return Ok(());
    }
    match send(all.clone()).await {
        Err(error) if error.is(done) => {}
        result => return Ok(result?),
    }
    if all.len() > 1 {
        for one in all {
            match send(vec![one]).await {
                Err(error) if error.is(done) => {}
                result => result?,
            }
        }
    }
    Ok(())
}

fn read_all(cloud: &Cloud, groups: &[Object]) -> Vec<(String, SecurityGroupRulesObserved)> {
    let own: BTreeSet<&str> = groups.iter().filter_map(Object::group_id).collect();
    let named = groups.iter().filter_map(|group| {
        let name = claimed_name(&from_ec2(group.tags()), SecurityGroup::KIND)?;
        Some((name, read(group, &own, &cloud.names.account)))
    });
    named.collect()
}

fn read(group: &Object, own: &BTreeSet<&str>, account: &str) -> SecurityGroupRulesObserved {
    SecurityGroupRulesObserved {
        group: group.group_id().unwrap_or_default().to_owned(),
        ingress: rule::read(group.ip_permissions(), own, account),
        egress: rule::read(group.ip_permissions_egress(), own, account),
    }
}
