//! What a cluster does, read from EMR and from YARN.

use aws_sdk_emr::types::{StepState, StepSummary};
use serde_json::Value;

use super::{Activity, Yarn};
use crate::cloud::{Answered, Cloud, CloudError, Explain};

/// Asks YARN on the host where it is run, in the cluster's network: `MASTER` is the master's name. Prints one line of
/// JSON: the running ones, and those that ended. It is a shell script with a program for the Python that every image of
/// ours has.
pub const YARN_SCRIPT: &str = r#"
python3 -I - "$MASTER" <<'END'
import http.client, json, sys
def apps(states):
    connection = http.client.HTTPConnection(sys.argv[1], 8088, timeout=5)
    connection.request("GET", "/ws/v1/cluster/apps?states=" + states, headers={"Accept": "application/json"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise OSError("it answers " + str(answer.status))
    return ((json.load(answer).get("apps") or {}).get("app")) or []
try:
    running = len(apps("NEW,NEW_SAVING,SUBMITTED,ACCEPTED,RUNNING"))
    ended = max([int(app.get("finishedTime") or 0) // 1000 for app in apps("FINISHED,FAILED,KILLED")], default=0)
    print(json.dumps({"running": running, "ended": ended}))
except (OSError, ValueError, http.client.HTTPException) as error:
    print(json.dumps({"error": str(error) or type(error).__name__}))
END
"#;

/// What [`YARN_SCRIPT`] printed.
pub fn yarn(lines: &[String]) -> Yarn {
    let told = lines.iter().find_map(|line| serde_json::from_str::<Value>(line).ok().filter(Value::is_object));
    let Some(told) = told else { return Yarn::Unreachable("it gave no answer".into()) };
    let number = |name: &str| told[name].as_i64();
    match (told["error"].as_str(), number("running").and_then(|count| usize::try_from(count).ok())) {
        (Some(error), _) => Yarn::Unreachable(error.to_owned()),
        (None, Some(0)) => Yarn::Idle(number("ended").filter(|ended| *ended > 0)),
        (None, Some(count)) => Yarn::Busy(count),
        (None, None) => Yarn::Unreachable("its answer is not understood".into()),
    }
}

/// What EMR tells of a cluster; YARN is asked by whoever reaches it.
///
/// # Errors
///
/// Where EMR does not tell.
pub async fn activity(cloud: &Cloud, id: &str, yarn: Yarn) -> Result<Activity, CloudError> {
    const CLUSTER: &str = "elasticmapreduce:DescribeCluster";
    let emr = &cloud.clients.emr;
    let (cluster, steps) = tokio::join!(
        emr.describe_cluster().cluster_id(id).send(),
        emr.list_steps().cluster_id(id).into_paginator().items().send().try_collect(),
    );
    let cluster = cluster.explain(CLUSTER)?.cluster.answered(CLUSTER)?;
    let steps: Vec<StepSummary> = steps.explain("elasticmapreduce:ListSteps")?;
    let is_active = |step: &&StepSummary| {
        let state = step.status().and_then(|status| status.state());
        matches!(state, Some(StepState::Pending | StepState::CancelPending | StepState::Running))
    };
    let ends = steps.iter().filter_map(|step| step.status()?.timeline()?.end_date_time());
    let line = cluster.status().and_then(|status| status.timeline());
    Ok(Activity {
        state: cluster.status().and_then(|status| status.state()).map_or("", |state| state.as_str()).to_owned(),
        created: line.and_then(|line| line.creation_date_time()).map(aws_smithy_types::DateTime::secs),
        ready: line.and_then(|line| line.ready_date_time()).map(aws_smithy_types::DateTime::secs),
        active_steps: steps.iter().filter(is_active).count(),
        last_step: ends.map(aws_smithy_types::DateTime::secs).max(),
        yarn,
    })
}
