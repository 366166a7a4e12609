//! Taking over an object that exists: it is tagged as the stack's own, and the next plan sees it.

use anyhow::{Context, bail, ensure};
use engine::{Address, Result};

use crate::cloud::{ADDRESS_TAG, Answered, Cloud, Explain, STACK_TAG, Tags, into_ec2};

/// Tags the object `id` as the stack's `address`. Refuses one that belongs to another stack, or to another address of
/// this one.
pub async fn adopt(cloud: &Cloud, address: &Address, id: &str) -> Result<()> {
    let Some(present) = tags_of(cloud, address, id).await? else {
        bail!("{} objects carry no tags; one with the name that the spec gives is the stack's already", address.kind)
    };
    if let Some(owner) = present.get(STACK_TAG) {
        ensure!(owner == &cloud.names.stack, "{id} belongs to stack {owner}");
        let claimed = present.get(ADDRESS_TAG).map_or("", String::as_str);
        ensure!(claimed == address.to_string(), "{id} is {claimed} of this stack already");
    }
    // Only whose it is; what else the spec wants of its tags is for the plan to show.
    let ours =
        Tags::from([(STACK_TAG.to_owned(), cloud.names.stack.clone()), (ADDRESS_TAG.to_owned(), address.to_string())]);
    tag(cloud, address.kind, id, &ours, &present).await.with_context(|| format!("cannot tag {id}"))
}

/// The object's tags; nothing for a kind that has none.
async fn tags_of(cloud: &Cloud, address: &Address, id: &str) -> Result<Option<Tags>> {
    let clients = &cloud.clients;
    let tags = match address.kind {
        "iam_role" => {
            let answer = clients.iam.get_role().role_name(id).send().await.explain("iam:GetRole")?;
            iam(answer.role.answered("iam:GetRole")?.tags())
        }
        "iam_user" => {
            let answer = clients.iam.get_user().user_name(id).send().await.explain("iam:GetUser")?;
            iam(answer.user.answered("iam:GetUser")?.tags())
        }
        "iam_policy" => {
            let answer = clients.iam.get_policy().policy_arn(id).send().await.explain("iam:GetPolicy")?;
            iam(answer.policy.answered("iam:GetPolicy")?.tags())
        }
        "instance_profile" => {
            let request = clients.iam.get_instance_profile().instance_profile_name(id);
            let answer = request.send().await.explain("iam:GetInstanceProfile")?;
            iam(answer.instance_profile.answered("iam:GetInstanceProfile")?.tags())
        }
        "bucket" => bucket_tags(cloud, id).await?,
        "kms_key" => {
            let answer = clients.kms.list_resource_tags().key_id(id).send().await.explain("kms:ListResourceTags")?;
            answer.tags().iter().map(|tag| (tag.tag_key().to_owned(), tag.tag_value().to_owned())).collect()
        }
        "emr_cluster" => {
            let request = clients.emr.describe_cluster().cluster_id(id);
            let answer = request.send().await.explain("elasticmapreduce:DescribeCluster")?;
            let cluster = answer.cluster.answered("elasticmapreduce:DescribeCluster")?;
            let pairs = cluster.tags().iter().filter_map(|tag| Some((tag.key()?, tag.value().unwrap_or_default())));
            pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
        }
        "bucket_folder" | "bucket_object" | "emr_security_configuration" | "security_group_rules" => return Ok(None),
        _ => {
            let id = ec2_id(cloud, address.kind, id).await?;
            let filter = aws_sdk_ec2::types::Filter::builder().name("resource-id").values(id).build();
            let answer = clients.ec2.describe_tags().filters(filter).send().await.explain("ec2:DescribeTags")?;
            let pairs = answer.tags().iter().filter_map(|tag| Some((tag.key()?, tag.value().unwrap_or_default())));
            pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
        }
    };
    Ok(Some(tags))
}

async fn tag(cloud: &Cloud, kind: &str, id: &str, ours: &Tags, present: &Tags) -> Result<()> {
    let clients = &cloud.clients;
    let iam = || {
        let build = |(key, value): (&String, &String)| aws_sdk_iam::types::Tag::builder().key(key).value(value).build();
        ours.iter().map(build).collect::<Result<Vec<_>, _>>().map(Some)
    };
    match kind {
        "iam_role" => {
            clients.iam.tag_role().role_name(id).set_tags(iam()?).send().await.explain("iam:TagRole")?;
        }
        "iam_user" => {
            clients.iam.tag_user().user_name(id).set_tags(iam()?).send().await.explain("iam:TagUser")?;
        }
        "iam_policy" => {
            clients.iam.tag_policy().policy_arn(id).set_tags(iam()?).send().await.explain("iam:TagPolicy")?;
        }
        "instance_profile" => {
            let request = clients.iam.tag_instance_profile().instance_profile_name(id).set_tags(iam()?);
            request.send().await.explain("iam:TagInstanceProfile")?;
        }
        "bucket" => {
            // S3 knows only whole sets of tags: what is there stays.
            let all: Tags = present.iter().chain(ours).map(|(key, value)| (key.clone(), value.clone())).collect();
            let build =
                |(key, value): (&String, &String)| aws_sdk_s3::types::Tag::builder().key(key).value(value).build();
            let set = all.iter().map(build).collect::<Result<Vec<_>, _>>()?;
            let tagging = aws_sdk_s3::types::Tagging::builder().set_tag_set(Some(set)).build()?;
            clients.s3.put_bucket_tagging().bucket(id).tagging(tagging).send().await.explain("s3:PutBucketTagging")?;
        }
        "kms_key" => {
            let build = |(key, value): (&String, &String)| {
                aws_sdk_kms::types::Tag::builder().tag_key(key).tag_value(value).build()
            };
            let tags = ours.iter().map(build).collect::<Result<Vec<_>, _>>()?;
            clients.kms.tag_resource().key_id(id).set_tags(Some(tags)).send().await.explain("kms:TagResource")?;
        }
        "emr_cluster" => {
            let build =
                |(key, value): (&String, &String)| aws_sdk_emr::types::Tag::builder().key(key).value(value).build();
            let tags = ours.iter().map(build).collect();
            let request = clients.emr.add_tags().resource_id(id).set_tags(Some(tags));
            request.send().await.explain("elasticmapreduce:AddTags")?;
        }
        _ => {
            let id = ec2_id(cloud, kind, id).await?;
            let request = clients.ec2.create_tags().resources(id).set_tags(Some(into_ec2(ours)));
            request.send().await.explain("ec2:CreateTags")?;
        }
    }
    Ok(())
}

/// How the ids of EC2's kinds begin. EC2 tags anything: an id of another kind would be tagged as what it is not.
const PREFIXES: &[(&str, &str)] = &[
    ("vpc", "vpc-"),
    ("subnet", "subnet-"),
    ("internet_gateway", "igw-"),
    ("elastic_ip", "eipalloc-"),
    ("nat_gateway", "nat-"),
    ("route_table", "rtb-"),
    ("vpc_endpoint", "vpce-"),
    ("security_group", "sg-"),
    ("instance", "i-"),
];

/// EC2 tags key pairs by their id, which nobody knows; users know the name.
async fn ec2_id(cloud: &Cloud, kind: &str, id: &str) -> Result<String> {
    if let Some((_, prefix)) = PREFIXES.iter().find(|(of, _)| *of == kind) {
        ensure!(id.starts_with(prefix), "{id} is not the id of a {kind}, which begins with `{prefix}`");
    }
    if kind != "key_pair" {
        return Ok(id.to_owned());
    }
    let answer = cloud.clients.ec2.describe_key_pairs().key_names(id).send().await.explain("ec2:DescribeKeyPairs")?;
    let pair = answer.key_pairs.unwrap_or_default().pop();
    pair.and_then(|pair| pair.key_pair_id).with_context(|| format!("there is no key pair {id}"))
}

async fn bucket_tags(cloud: &Cloud, name: &str) -> Result<Tags> {
    let request = cloud.clients.s3.get_bucket_tagging().bucket(name);
    let answer = request.send().await.explain("s3:GetBucketTagging");
    let answer = crate::cloud::missing_is_none(answer, &["NoSuchTagSet"])?;
    let tags = answer.map(|answer| answer.tag_set).unwrap_or_default();
    Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

fn iam(tags: &[aws_sdk_iam::types::Tag]) -> Tags {
    tags.iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect()
}
