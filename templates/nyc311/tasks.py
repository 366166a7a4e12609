"""NYC 311 as luigi tasks: extract, preprocess, profile once, clean.

Each task is done when the file is there that its work writes last: a day's manifest, a job's summary. So a run that
failed goes on where it failed, and one that is done does nothing. Spark jobs run with the local spark-submit, or as
steps of the stack's EMR cluster, which is found by its tag. README.md says how to run them and what the exit codes are.
"""

import datetime
import logging
import os
import pathlib
import shlex
import subprocess
import time

import boto3
import luigi

import extract
import storage

HERE = pathlib.Path(__file__).resolve().parent
MODULES = ["lake.py", "columns.py"]
ALIVE = ["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"]
ENDED = ["COMPLETED", "FAILED", "CANCELLED", "INTERRUPTED"]

log = logging.getLogger("luigi-interface")
# sodapy says by the root logger that there is no token, which gives that a handler of its own: every line came twice.
log.propagate = False


class nyc311(luigi.Config):
    """The section [nyc311] of luigi.cfg."""

    lake = luigi.Parameter(description="s3://BUCKET, or a local folder")
    raw = luigi.Parameter(default="raw/")
    preprocessed = luigi.Parameter(default="preprocessed/")
    cleaned = luigi.Parameter(default="cleaned/")
    runs = luigi.Parameter(default="runs/")
    code = luigi.Parameter(default="", description="where the jobs are; beside this file unless said")
    history_from = luigi.DateParameter(description="the columns are decided on the days from here")
    history_to = luigi.DateParameter(description="to here")
    spark = luigi.ChoiceParameter(choices=["emr", "local"], default="emr")
    spark_submit = luigi.Parameter(default="spark-submit", description="the program, with spark = local")
    spark_arguments = luigi.Parameter(default="", description="arguments for spark-submit, as a shell would read them")
    stack = luigi.Parameter(default="nyc311", description="the tag infra:stack of the cluster")
    poll = luigi.FloatParameter(default=15, description="seconds between looks at a step")
    step_hours = luigi.FloatParameter(default=6, description="how long a step may take")
    token_file = luigi.Parameter(default="", description="a file of mode 0600 with Socrata's application token")
    url = luigi.Parameter(default="https://data.cityofnewyork.us")
    dataset = luigi.Parameter(default="erm2-nwe9")
    history_dataset = luigi.Parameter(default="76ig-c548")
    page = luigi.IntParameter(default=extract.LARGEST_PAGE)
    backoff = luigi.FloatParameter(default=2)


def place(tree, name=""):
    """A file of the lake, and the tree that it is in."""
    settings = nyc311()
    return storage.folder(f"{settings.lake.rstrip('/')}/{getattr(settings, tree).strip('/')}"), name


class Written(luigi.Target):
    """A file of the lake."""

    def __init__(self, tree, name):
        self.folder, self.name = place(tree, name)

    def exists(self):
        return self.folder.exists(self.name)

    def read(self):
        return self.folder.read(self.name)


class Extract(luigi.Task):
    """A day's requests as Socrata has them."""

    day = luigi.DateParameter()
    kind = luigi.ChoiceParameter(choices=sorted(extract.KINDS))
    # The API's quota is one: more at a time only wait for each other.
    resources = {"socrata": 1}

    def output(self):
        return Written("raw", f"{extract.place(self.kind, self.day)}/{extract.MANIFEST}")

    def run(self):
        settings = nyc311()
        with extract.connect(settings.url, extract.token(settings.token_file), settings.backoff) as client:
            source = extract.Source(client, settings.dataset, settings.history_dataset, page=settings.page)
            manifest, _ = extract.load_day(source, place("raw")[0], self.kind, self.day)
        self.set_status_message(f"{manifest['rows']} rows")


class Job(luigi.Task):
    """A Spark job, done when its summary is there."""

    script = None

    def arguments(self):
        raise NotImplementedError

    def name(self):
        """What the step is called: the same for the same work, so that a step that still runs is found again."""
        raise NotImplementedError

    def run(self):
        settings = nyc311()
        arguments = [str(argument) for argument in self.arguments()]
        if settings.spark == "local":
            self.submit(settings, arguments)
        else:
            Step(settings, boto3.client("emr"), f"{self.script} {self.name()}", self.tell).run(self.command(arguments))
        if not self.complete():
            raise RuntimeError(f"{self.script} {self.name()} ended well, but left no {self.output().name}")

    def tell(self, message):
        log.info("%s %s: %s", self.script, self.name(), message)
        self.set_status_message(message)

    def submit(self, settings, arguments):
        """Runs the job on this machine."""
        code = pathlib.Path(settings.code or HERE)
        modules = ",".join(str(code / module) for module in MODULES)
        command = [settings.spark_submit, *shlex.split(settings.spark_arguments), "--py-files", modules]
        done = subprocess.run(
            [*command, str(code / f"{self.script}.py"), *arguments], stdout=subprocess.PIPE, text=True
        )
        # spark-submit puts all that the job says on its standard output: last, the summary or what went wrong.
        said = (done.stdout.strip().splitlines() or ["nothing"])[-1]
        if done.returncode:
            raise RuntimeError(f"{self.script} {self.name()} ended with {done.returncode}: {said}")
        self.tell(said)

    def command(self, arguments):
        """The step's arguments."""
        settings = nyc311()
        if not settings.code.startswith("s3://"):
            raise ValueError(f"code = {settings.code or HERE} is on this machine, where the cluster does not see it")
        code = settings.code.rstrip("/")
        modules = ",".join(f"{code}/{module}" for module in MODULES)
        more = shlex.split(settings.spark_arguments)
        return [
            "spark-submit",
            "--deploy-mode",
            "cluster",
            *more,
            "--py-files",
            modules,
            f"{code}/{self.script}.py",
            *arguments,
        ]


class Step:
    """A step of the stack's cluster, followed to its end."""

    def __init__(self, settings, emr, name, tell):
        self.settings, self.emr, self.name, self.tell = settings, emr, name, tell

    def cluster(self):
        """The stack's one cluster that is alive."""
        found = []
        for page in self.emr.get_paginator("list_clusters").paginate(ClusterStates=ALIVE):
            for cluster in page["Clusters"]:
                tags = self.emr.describe_cluster(ClusterId=cluster["Id"])["Cluster"].get("Tags", [])
                if {"Key": "infra:stack", "Value": self.settings.stack} in tags:
                    found.append(cluster["Id"])
        if not found and os.environ.get("PIPELINE_CLUSTER"):
            return self.start(shlex.split(os.environ["PIPELINE_CLUSTER"]))
        if len(found) != 1:
            what = f"several clusters: {', '.join(found)}" if found else "no cluster; hint: infra cluster up"
            raise RuntimeError(f"the stack {self.settings.stack} has {what}")
        return found[0]

    def start(self, command):
        """A new cluster, by the command that whoever runs the tasks gives; they end it, too."""
        self.tell("no cluster is up: one is started, which takes some minutes")
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            raise RuntimeError(f"the cluster cannot be started: {said}")
        return done.stdout.strip()

    def running(self, cluster):
        """A step of this name that has not ended: luigi was killed while it ran. A second would write beside it."""
        pages = self.emr.get_paginator("list_steps").paginate(ClusterId=cluster, StepStates=["PENDING", "RUNNING"])
        return next((step["Id"] for page in pages for step in page["Steps"] if step["Name"] == self.name), None)

    def run(self, arguments):
        """Adds the step, unless it runs already, and waits for its end."""
        cluster = self.cluster()
        step = self.running(cluster)
        if step is None:
            jar = {"Jar": "command-runner.jar", "Args": arguments}
            asked = {"Name": self.name, "ActionOnFailure": "CONTINUE", "HadoopJarStep": jar}
            step = self.emr.add_job_flow_steps(JobFlowId=cluster, Steps=[asked])["StepIds"][0]
        deadline, before = time.monotonic() + self.settings.step_hours * 3600, None
        while True:
            status = self.emr.describe_step(ClusterId=cluster, StepId=step)["Step"]["Status"]
            if status["State"] != before:
                before = status["State"]
                self.tell(f"step {step} on {cluster} is {before}")
            if before in ENDED:
                break
            if time.monotonic() > deadline:
                raise RuntimeError(f"step {step} on {cluster} is {before} after {self.settings.step_hours} hours")
            time.sleep(self.settings.poll)
        if before != "COMPLETED":
            details = status.get("FailureDetails", {})
            why = " ".join(details[key] for key in ("Reason", "Message", "LogFile") if details.get(key))
            raise RuntimeError(f"step {step} on {cluster} is {before}. {why}".rstrip())


def trees(*names):
    """The arguments that name the trees."""
    return [part for name in names for part in (f"--{name}", place(name)[0].uri())]


def profile_uri():
    """Where the decision on the columns is."""
    folder, name = place("runs", "profile.json")
    return folder.uri(name)


class Preprocess(Job):
    """A day to parquet."""

    script = "preprocess"
    day = luigi.DateParameter()

    def requires(self):
        return [Extract(day=self.day, kind=kind) for kind in extract.KINDS]

    def output(self):
        return Written("runs", f"preprocess/{self.day}/summary.json")

    def name(self):
        return str(self.day)

    def arguments(self):
        return [*trees("raw", "preprocessed", "runs"), "--day", self.day]


class PreprocessHistory(Job):
    """The new requests of many days to parquet, in one job."""

    script = "preprocess"
    first = luigi.DateParameter()
    last = luigi.DateParameter()

    def requires(self):
        return [Extract(day=day, kind="new") for day in extract.days(self.first, self.last)]

    def output(self):
        return Written("runs", f"preprocess/{span(self.first, self.last)}/summary.json")

    def name(self):
        return span(self.first, self.last)

    def arguments(self):
        return [*trees("raw", "preprocessed", "runs"), "--kinds", "new", "--from", self.first, "--to", self.last]


class Profile(Job):
    """Which columns the cleaned tree leaves out, decided once."""

    script = "profile_columns"

    def requires(self):
        return PreprocessHistory(first=nyc311().history_from, last=nyc311().history_to)

    def output(self):
        return Written("runs", "profile.json")

    def name(self):
        return "once"

    def arguments(self):
        days = ["--from", nyc311().history_from, "--to", nyc311().history_to]
        return [*trees("preprocessed"), "--profile", profile_uri(), *days]


class Clean(Job):
    """A day into the cleaned tree."""

    script = "clean"
    day = luigi.DateParameter()
    # Two would merge into the same days of the tree.
    resources = {"cleaned": 1}

    def requires(self):
        return [Preprocess(day=self.day), Profile()]

    def output(self):
        return Written("runs", f"clean/{self.day}/summary.json")

    def name(self):
        return str(self.day)

    def arguments(self):
        return [*trees("preprocessed", "cleaned", "runs"), "--profile", profile_uri(), "--day", self.day]


class CleanHistory(Job):
    """The new requests of many days into the cleaned tree, in one job."""

    script = "clean"
    first = luigi.DateParameter()
    last = luigi.DateParameter()
    resources = {"cleaned": 1}

    def requires(self):
        return [PreprocessHistory(first=self.first, last=self.last), Profile()]

    def output(self):
        return Written("runs", f"clean/{span(self.first, self.last)}/summary.json")

    def name(self):
        return span(self.first, self.last)

    def arguments(self):
        days = ["--kinds", "new", "--from", self.first, "--to", self.last]
        return [*trees("preprocessed", "cleaned", "runs"), "--profile", profile_uri(), *days]


class Daily(luigi.WrapperTask):
    """What runs every night: yesterday's new requests and updates."""

    day = luigi.DateParameter(default=datetime.date.today() - datetime.timedelta(days=1))

    def requires(self):
        return Clean(day=self.day)


class Days(luigi.WrapperTask):
    """The same for each day of a range: to catch up."""

    first = luigi.DateParameter()
    last = luigi.DateParameter()

    def requires(self):
        return [Clean(day=day) for day in extract.days(self.first, self.last)]


class History(luigi.WrapperTask):
    """A full load, a calendar month at a time: one that fails goes on with its month."""

    first = luigi.DateParameter()
    last = luigi.DateParameter()

    def requires(self):
        return [CleanHistory(first=first, last=last) for first, last in months(self.first, self.last)]


def months(first, last):
    """The range cut at the ends of months."""
    cut = []
    while first <= last:
        following = (first.replace(day=1) + datetime.timedelta(days=32)).replace(day=1)
        cut.append((first, min(last, following - datetime.timedelta(days=1))))
        first = following
    return cut


def span(first, last):
    """What the jobs call a range of days, also one of one day: that day's own batch has its updates too."""
    return f"{first}_{last}"
