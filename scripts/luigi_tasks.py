"""Run on luigi's host: what its scheduler knows of the tasks, by how they ended. Ends with 1 where one is not done."""

import configparser
import json
import sys
import urllib.parse
import urllib.request

# Where the scheduler listens stands where all tasks of the host look for it.
CONFIGURATION = ["/etc/luigi/client.cfg", "/etc/luigi/luigi.cfg"]
STATES = ["DONE", "RUNNING", "PENDING", "FAILED", "DISABLED"]


def main():
    configuration = configparser.RawConfigParser()
    configuration.read(CONFIGURATION)
    core = configuration["core"]
    address = f"http://{core['default-scheduler-host']}:{core['default-scheduler-port']}"
    # It is in the host's own network, whatever proxy leads elsewhere.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    counts = {}
    for state in STATES:
        asked = urllib.parse.quote(json.dumps({"status": state, "upstream_status": ""}))
        with direct.open(f"{address}/api/task_list?data={asked}", timeout=30) as answer:
            found = json.load(answer)["response"]
        counts[state] = len(found)
        for task in sorted(found.values(), key=lambda task: (task["start_time"], task["display_name"])):
            print(f"{state:<8}  {task['display_name']}")
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    print(f"luigi at {address}: {told or 'no tasks'}")
    return 0 if counts["DONE"] == sum(counts.values()) > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
