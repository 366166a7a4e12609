"""The pages of a cluster's applications on its nodes: Spark's own history server, and stand-ins for all others."""

from __future__ import annotations

import json
from pathlib import Path

from infra_local.bodies import stand_in
from infra_local.bodies.disk import Disk
from infra_local.bodies.network import SERVICES
from infra_local.bodies.wanted import Node, Wanted

SPARK_PLACE, EVENTS_PLACE = "/usr/lib/spark", "/var/log/spark/apps"
HISTORY = 18080

_ONLY_HISTORY = "The local cloud runs no page of a cluster but Spark's history server."
_WITHOUT_SPARK = "The history server runs where the local cloud does with `infra local up --hosts --spark`."
# By application: what its page is called, port and path. Hadoop is on every cluster.
# https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-web-interfaces.html
_MASTER = (
    ("Hadoop", "YARN's ResourceManager", 8088, "/cluster"),
    ("Spark", "Spark's history server", HISTORY, "/"),
    ("Zeppelin", "Zeppelin", 8890, "/"),
    ("Ganglia", "Ganglia", 80, "/ganglia/"),
    ("Livy", "Livy", 8998, "/ui"),
    ("Hue", "Hue", 8888, "/"),
    ("HBase", "HBase", 16010, "/"),
    ("Tez", "Tez", 8080, "/tez-ui/"),
)
_OTHERS = (("Hadoop", "YARN's NodeManager", 8042, "/node"),)


def of(node: Node) -> list[dict]:
    """The stand-ins that a node has."""
    hdfs = (50070, 50075) if node.release < 6 else (9870, 9864)
    if node.role == "MASTER":
        rows = [*_MASTER, ("Hadoop", "HDFS's NameNode", hdfs[0], "/")]
    else:
        rows = [*_OTHERS, *([("Hadoop", "HDFS's DataNode", hdfs[1], "/")] if node.role == "CORE" else [])]
    has = {"Hadoop", *node.applications}
    return [
        {"name": name, "port": port, "path": path, "why": _WITHOUT_SPARK if port == HISTORY else _ONLY_HISTORY}
        for application, name, port, path in rows
        if application in has and not (port == HISTORY and node.history)
    ]


def binds(node: Node) -> list[tuple[str, str]]:
    """What of this machine a node sees, to be read only: here, and there."""
    if not node.history:
        return []
    seen = [(node.history.spark, SPARK_PLACE), (node.history.events, EVENTS_PLACE)]
    return seen + [(place, place) for place in node.history.java]


def furnish(disk: Disk, host: Wanted) -> None:
    """Write the services that show a node's pages; before each start, as what there is to show may have changed."""
    node = host.node
    if not node:
        return
    config = {
        "cluster": node.cluster,
        "host": host.full_name,
        "cloud": f"http://{SERVICES}:{node.port}",
        "pages": of(node),
    }
    disk.write("usr/local/lib/emr-pages/stand_in.py", Path(stand_in.__file__).read_bytes())
    disk.write("usr/local/lib/emr-pages/pages.json", json.dumps(config))
    _service(disk, "emr-pages", _STAND_INS)
    if node.history:
        _service(disk, "spark-history-server", _HISTORY.format(java=node.history.java[0]))


def _service(disk: Disk, name: str, text: str) -> None:
    disk.write(f"etc/systemd/system/{name}.service", text)
    wants = disk.root / "etc/systemd/system/multi-user.target.wants" / f"{name}.service"
    wants.unlink(missing_ok=True)
    wants.symlink_to(f"/etc/systemd/system/{name}.service")


_STAND_INS = """[Unit]
Description=Stand-ins for the pages of the cluster's applications
After=network.target
[Service]
User=hadoop
AmbientCapabilities=CAP_NET_BIND_SERVICE
ExecStart=/usr/bin/python3 /usr/local/lib/emr-pages/stand_in.py /usr/local/lib/emr-pages/pages.json
Restart=on-failure
"""

# The event logs belong to this machine's root and its group.
_HISTORY = f"""[Unit]
Description=Spark's history server
After=network.target
ConditionPathExists={SPARK_PLACE}/jars
[Service]
User=hadoop
SupplementaryGroups=root
Environment=SPARK_HOME={SPARK_PLACE} JAVA_HOME={{java}}
ExecStart={{java}}/bin/java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp {SPARK_PLACE}/jars/* \\
  -Dspark.history.fs.logDirectory=file:{EVENTS_PLACE} -Dspark.history.fs.update.interval=2s \\
  -Dspark.history.ui.port={HISTORY} org.apache.spark.deploy.history.HistoryServer
SuccessExitStatus=143
Restart=on-failure
RestartSec=5
"""
