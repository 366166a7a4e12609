//! Bringing an existing object's tags to what a diff asks for: sets what differs, removes what should not be there.

use engine::Diff;

use crate::cloud::{Cloud, CloudError, Explain, Tags, into_ec2};

/// The tags of a diff, in the two calls that every service has.
pub struct TagChanges {
    /// To set, with their values.
    pub set: Tags,
    /// To remove.
    pub remove: Vec<String>,
}

/// What `diff` asks for below `tags`.
pub fn changes(diff: &Diff, desired: &Tags) -> TagChanges {
    let keys = diff.changes.iter().filter_map(|change| change.field.strip_prefix("tags."));
    let (mut set, mut remove) = (Tags::new(), Vec::new());
    for key in keys {
        match desired.get(key) {
            Some(value) => drop(set.insert(key.to_owned(), value.clone())),
            None => remove.push(key.to_owned()),
        }
    }
    TagChanges { set, remove }
}

/// Changes the tags of an EC2 object.
pub async fn ec2(cloud: &Cloud, id: &str, diff: &Diff, desired: &Tags) -> Result<(), CloudError> {
    let TagChanges { set, remove } = changes(diff, desired);
    if !set.is_empty() {
        let send = || cloud.clients.ec2.create_tags().resources(id).set_tags(Some(into_ec2(&set))).send();
        cloud.settle(&[], || async { send().await.explain("ec2:CreateTags") }).await?;
    }
    if !remove.is_empty() {
        let tags = remove.iter().map(|key| aws_sdk_ec2::types::Tag::builder().key(key).build()).collect();
        let request = cloud.clients.ec2.delete_tags().resources(id).set_tags(Some(tags));
        request.send().await.explain("ec2:DeleteTags")?;
    }
    Ok(())
}
