use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use aws_sdk_iam::types::StatusType;
use engine::Address;
use infra::{cloud::Names, resources::IamUser};

use super::*;
use crate::support::world::stack;

fn full(stack: &Stack) -> IamUser {
    IamUser {
        managed: [READ_ONLY.to_owned()].into(),
        inline: [("reads".to_owned(), document("s3:GetObject"))].into(),
        ..user(stack, "u")
    }
}

fn with_key(stack: &Stack) -> IamUser {
    IamUser { access_key: Some(key(stack, "u")), ..user(stack, "u") }
}

async fn keys(stack: &Stack) -> Vec<String> {
    let answer = iam(stack).list_access_keys().user_name(stack.cloud.names.unique("u")).send().await.unwrap();
    answer.access_key_metadata().iter().filter_map(|key| key.access_key_id.clone()).collect()
}

/// The key and the secret that a credentials file holds.
fn credentials(file: &Path) -> (String, String) {
    let text = fs::read_to_string(file).unwrap();
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("{text} has no {key}")).to_owned()
    };
    (value("aws_access_key_id"), value("aws_secret_access_key"))
}

async fn outputs(stack: &Stack) -> Vec<String> {
    let known = stack.observe().await;
    let item = known.item(&Address::new("iam_user", "u")).expect("the user is there");
    item.outputs().into_iter().filter(|(name, _)| *name == "access_key").map(|(_, value)| value).collect()
}

#[tokio::test]
async fn a_user_lives_changes_and_goes() {
    let stack = stack("user", &[]).await;
    assert_eq!(stack.converge(&one("u", full(&stack))).await, ["create iam_user/u"]);
    let changes = [
        ("attached", IamUser { managed: [S3_FULL.to_owned()].into(), ..full(&stack) }),
        ("inline.reads", IamUser { inline: [("reads".to_owned(), document("s3:*"))].into(), ..full(&stack) }),
        ("inline.reads", IamUser { inline: BTreeMap::new(), ..full(&stack) }),
        ("tags.owner", IamUser { tags: tags::<IamUser>(&stack, "u", Some("ada")), ..full(&stack) }),
        ("access_key", IamUser { access_key: Some(key(&stack, "u")), ..full(&stack) }),
    ];
    for (field, changed) in changes {
        let expected = [format!("update iam_user/u {field}")];
        assert_eq!(stack.converge(&one("u", changed)).await, expected);
        assert_eq!(stack.converge(&one("u", full(&stack))).await, expected);
    }
    let renamed = IamUser { name: stack.cloud.names.unique("v"), ..full(&stack) };
    assert_eq!(stack.converge(&one("u", renamed)).await, ["delete iam_user/u", "create iam_user/u"]);
    stack.destroy().await;
}

#[tokio::test]
async fn what_is_changed_by_hand_is_one_field_and_healed() {
    let stack = stack("user-drift", &[]).await;
    let (graph, name) = (one("u", IamUser { access_key: Some(key(&stack, "u")), ..full(&stack) }), full(&stack).name);
    stack.converge(&graph).await;
    let healed = async |field: &str| {
        assert_eq!(stack.converge(&graph).await, [format!("update iam_user/u {field}")]);
    };
    iam(&stack).attach_user_policy().user_name(&name).policy_arn(S3_FULL).send().await.unwrap();
    healed("attached").await;
    let put = iam(&stack).put_user_policy().user_name(&name).policy_name("console");
    put.policy_document(document("s3:*").minified()).send().await.unwrap();
    healed("inline.console").await;
    iam(&stack).untag_user().user_name(&name).tag_keys("project").send().await.unwrap();
    healed("tags.project").await;

    let own = keys(&stack).await;
    let request = iam(&stack).update_access_key().user_name(&name).access_key_id(&own[0]);
    request.status(StatusType::Inactive).send().await.unwrap();
    healed("access_key.status").await;
    iam(&stack).create_access_key().user_name(&name).send().await.unwrap();
    healed("access_key").await;
    assert_eq!(keys(&stack).await, own);
    stack.destroy().await;
}

#[tokio::test]
async fn a_key_is_written_once_and_its_secret_never_shown() {
    let stack = stack("key", &[]).await;
    let (graph, file) = (one("u", with_key(&stack)), key(&stack, "u").file);
    stack.converge(&graph).await;
    let (id, secret) = credentials(&file);
    assert_eq!(keys(&stack).await, [id.as_str()]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(&stack.cloud.names.secrets).unwrap().count(), 1, "nothing else is left beside it");
    assert!(secret.len() >= 40);
    let known = stack.observe().await;
    let item = known.item(&Address::new("iam_user", "u")).unwrap();
    let shown = format!("{} {:?}", item.view(), item.outputs());
    assert!(shown.contains(&id) && !shown.contains(&secret), "{shown}");
    assert_eq!(outputs(&stack).await, [format!("{id} (secret in {})", file.display())]);

    // The spec has it elsewhere: the file moves, the key stays.
    let moved = AccessKey { file: file.with_file_name("moved"), rotate: false };
    let elsewhere = one("u", IamUser { access_key: Some(moved.clone()), ..with_key(&stack) });
    assert_eq!(stack.converge(&elsewhere).await, ["update iam_user/u access_key.file"]);
    assert_eq!(credentials(&moved.file), (id, secret));
    assert!(!file.exists());
    stack.destroy().await;
    assert!(!moved.file.exists(), "destroy removes the secret");
}

#[tokio::test]
async fn a_lost_key_is_reported_and_only_rotation_replaces_it() {
    let mut stack = stack("key-lost", &[]).await;
    let (here, file) = (with_key(&stack), key(&stack, "u").file);
    stack.converge(&one("u", here)).await;
    let (id, _) = credentials(&file);

    // Another machine applies the same spec.
    let folder = tempfile::tempdir().unwrap();
    let names = Names { secrets: folder.path().join("secrets"), ..(*stack.cloud.names).clone() };
    stack.cloud.names = Arc::new(names);
    let graph = one("u", with_key(&stack));
    assert!(stack.plan(&graph).await.is_empty());
    let note = "(secret not on this machine; infra apply --rotate iam_user/u makes a new one)";
    assert_eq!(outputs(&stack).await, [format!("{id} {note}")]);

    let rotating = AccessKey { rotate: true, ..key(&stack, "u") };
    let rotation = one("u", IamUser { access_key: Some(rotating), ..with_key(&stack) });
    let (_, outcome) = stack.apply(&rotation).await;
    assert!(outcome.is_complete(), "{:#?}", outcome.failed);
    let (new, _) = credentials(&key(&stack, "u").file);
    assert_eq!(keys(&stack).await, [new.as_str()]);
    assert!(new != id);
    assert!(stack.plan(&graph).await.is_empty());

    // With two keys there is no room for a third.
    iam(&stack).create_access_key().user_name(stack.cloud.names.unique("u")).send().await.unwrap();
    let (_, outcome) = stack.apply(&rotation).await;
    assert!(outcome.is_complete(), "{:#?}", outcome.failed);
    assert_eq!(keys(&stack).await, [credentials(&key(&stack, "u").file).0]);
    stack.destroy().await;
}

#[tokio::test]
async fn a_run_that_died_before_it_wrote_the_secret_is_made_good() {
    let stack = stack("key-died", &[]).await;
    let name = stack.cloud.names.unique("u");
    stack.converge(&one("u", user(&stack, "u"))).await;
    let (graph, file) = (one("u", with_key(&stack)), key(&stack, "u").file);
    let mark = |before: &[&str]| {
        let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let marker = json!({ "profile": name, "at": at, "before": before });
        fs::write(file.with_file_name("u.credentials.pending"), marker.to_string()).unwrap();
    };
    // Died before the request.
    mark(&[]);
    assert_eq!(stack.converge(&graph).await, ["update iam_user/u access_key"]);
    let first = credentials(&file).0;
    assert_eq!(keys(&stack).await, [first.as_str()]);

    // Died after the answer: the key is nobody's.
    fs::remove_file(&file).unwrap();
    mark(&[]);
    assert_eq!(stack.converge(&graph).await, ["update iam_user/u access_key"]);
    let second = credentials(&file).0;
    assert_eq!(keys(&stack).await, [second.as_str()]);
    assert!(first != second);

    // Died in a rotation, after the answer: the key in the file is still good.
    mark(&[&second]);
    iam(&stack).create_access_key().user_name(&name).send().await.unwrap();
    assert_eq!(stack.converge(&graph).await, ["update iam_user/u access_key"]);
    assert_eq!(keys(&stack).await, [second.as_str()]);

    // Died in a rotation, after the file was written: the old key goes.
    let made = iam(&stack).create_access_key().user_name(&name).send().await.unwrap().access_key.unwrap();
    let text = format!(
        "[{name}]\naws_access_key_id={}\naws_secret_access_key={}\n",
        made.access_key_id, made.secret_access_key
    );
    fs::write(&file, text).unwrap();
    assert_eq!(stack.converge(&graph).await, ["update iam_user/u access_key"]);
    assert_eq!(keys(&stack).await, [made.access_key_id]);
    stack.destroy().await;
    assert_eq!(fs::read_dir(&stack.cloud.names.secrets).unwrap().count(), 0);
}

#[tokio::test]
async fn a_user_with_what_infra_did_not_give_it_is_explained() {
    let stack = stack("user-console", &[]).await;
    stack.converge(&one("u", with_key(&stack))).await;
    let name = stack.cloud.names.unique("u");
    iam(&stack).create_login_profile().user_name(&name).password("Secret-123-password").send().await.unwrap();
    let failed = failures(&stack, &Graph::default()).await;
    // Stock moto deletes a user that has a password.
    if !failed.is_empty() {
        assert!(failed[0].contains("a console password"), "{failed:?}");
        iam(&stack).delete_login_profile().user_name(&name).send().await.unwrap();
    }
    stack.destroy().await;
}
