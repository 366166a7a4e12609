"""Runs the DAG once, inside Airflow's own Python: `dag_run.py import` or `dag_run.py run`. Prints one line of JSON.

`airflow dags test` ends with 0 even where the run failed: the states are read from the database.
"""

from __future__ import annotations

import json
import os
import sys

import airflow.auth.managers.fab.models  # noqa: F401 - runs refer to its table of users
from airflow.models import DagBag
from airflow.utils import timezone
from airflow.utils.session import create_session

bag = DagBag(os.environ["DAGS"], include_examples=False)
if sys.argv[1] == "import" or bag.import_errors:
    dag = bag.dags.get("pipeline_vendas")
    tasks = {} if dag is None else {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks}
    found = {"errors": {os.path.basename(k): v for k, v in bag.import_errors.items()}, "tasks": tasks}
    if dag is not None:
        found["schedule"] = [str(dag.timetable.summary), dag.timezone.name, dag.is_paused_upon_creation]
        found["job_flow"] = dag.get_task("create_cluster").job_flow_overrides
    print(json.dumps(found))
    sys.exit(0)
dag = bag.get_dag("pipeline_vendas")
date = timezone.datetime(2024, 5, 6)
dag.test(execution_date=date)
with create_session() as session:
    from airflow.models import DagRun

    run = session.query(DagRun).filter(DagRun.dag_id == dag.dag_id, DagRun.execution_date == date).one()
    print(json.dumps({"state": str(run.state), "tasks": {one.task_id: str(one.state) for one in run.task_instances}}))
