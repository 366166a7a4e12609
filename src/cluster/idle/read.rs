//! What a cluster does, read from EMR and from YARN.

use anyhow::Result;
use serde_json::Value;

use super::{super::steps, Activity, Yarn};
use crate::{cloud::Cloud, resources::EmrClusterObserved};

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

/// What a cluster does: EMR tells of its steps; YARN was asked by whoever reaches it.
pub async fn activity(cloud: &Cloud, cluster: &EmrClusterObserved, yarn: Yarn) -> Result<Activity> {
    Ok(Activity::of(cluster, &steps::list(cloud, &cluster.id).await?, yarn))
}
