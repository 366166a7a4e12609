"""One step: fetches its script, runs spark-submit, writes its logs to the cluster's bucket, and says how it ended.

A process of its own, and the leader of a session with everything that the step starts. It lives as long as its standard
input: `cancel` there, or its end, which is the daemon's, ends all of the session.
"""

from __future__ import annotations

import contextlib
import ctypes
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

_UPLOAD = 3.0  # as often as that logs are written to the bucket while the step runs
_GRACE = 3.0
_LOGS = ("controller", "stdout", "stderr")
# What a failure says for itself: Java's and Python's last words, without the trace.
_LAST_WORDS = re.compile(r"^(Exception in thread .+|[A-Za-z_][\w.]*(?:Error|Exception|Interrupt)\b.*)$")


class Step:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.job = json.loads((folder / "job.json").read_text())
        self.child: subprocess.Popen | None = None
        self.over = ""  # why it is to end before its time
        self.began = time.time()
        self.sent: dict[str, int] = {}
        self.s3 = None

    def client(self):
        if not self.s3:
            import boto3
            from botocore.config import Config

            config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}, connect_timeout=5)
            self.s3 = boto3.client(
                "s3", endpoint_url=self.job["endpoint"], region_name=self.job["region"], config=config,
                aws_access_key_id=self.job["account"], aws_secret_access_key="local",
            )  # fmt: skip
        return self.s3

    def note(self, text: str, level: str = "INFO") -> None:
        """A line of the controller's log, as EMR writes it."""
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        with open(self.folder / "controller", "a") as log:
            log.write(f"{now}Z {level} {text}\n")

    def listen(self) -> None:
        """Wait for the daemon's word, or its end."""
        told = os.read(0, 64)
        self.over = "cancel" if told else "daemon"
        end_session()

    def run(self) -> dict:
        step, shown = self.job["step"], " ".join(self.job["shown"])
        self.note(f"Ensure step {step} jar file {self.job['jar']}")
        self.note(f"StepRunner: Created Runner for step {step}")
        self.note(f"startExec 'hadoop jar {self.job['jar']} {shown}'")
        self.note("On the local cloud: " + " ".join(map(str, self.job["command"])))
        for uri, name in self.job["fetched"].items():
            missing = self._fetch(uri, self.folder / "work" / name)
            if missing:
                with open(self.folder / "stderr", "a") as log:
                    log.write(f'Exception in thread "main" {missing}\n')
                return self._ended(1)
        work = self.folder / "work"
        for name in ("tmp", "work"):
            (self.folder / name).mkdir(exist_ok=True)
        with open(self.folder / "stdout", "wb") as out, open(self.folder / "stderr", "ab") as errors:
            self.child = subprocess.Popen(
                self.job["command"], stdin=subprocess.DEVNULL, stdout=out, stderr=errors, cwd=work,
                env=self.job["environment"], preexec_fn=_die_with_parent,
            )  # fmt: skip
        self.note(f"ProcessRunner started child process {self.child.pid}")
        if self.over:
            end_session()
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self.child.wait(_UPLOAD)
                break
            self.upload()
        return self._ended(code)

    def _fetch(self, uri: str, place: Path) -> str:
        """What is wrong, if something is."""
        place.parent.mkdir(parents=True, exist_ok=True)
        url = urlsplit(uri)
        try:
            self.client().download_file(url.netloc, url.path.lstrip("/"), str(place))
        except Exception as error:
            code = getattr(error, "response", {}).get("Error", {}).get("Code", "")
            if code in ("404", "NoSuchKey", "NoSuchBucket"):
                return f"java.io.FileNotFoundException: No such file or directory '{uri}'"
            return f"java.io.IOException: {uri} cannot be read: {error}"
        self.note(f"Fetched {uri}")
        return ""

    def _ended(self, code: int) -> dict:
        seconds = round(time.time() - self.began)
        if self.over:
            self.note("Step cancelled" if self.over == "cancel" else "The daemon ended", "WARN")
        elif code == 0:
            self.note(f"Step succeeded with exitCode 0 and took {seconds} seconds")
        else:
            self.note(f"Step failed with exitCode {code} and took {seconds} seconds", "WARN")
            copy_traceback(self.folder)
        return {"code": code, "message": "" if code == 0 else last_words(self.folder / "stderr")}

    def upload(self) -> None:
        """Bring what is new in the logs into the bucket."""
        target = self.job["logs"]
        if not target or self.over == "daemon":
            return
        for name in _LOGS:
            path = self.folder / name
            size = path.stat().st_size if path.exists() else 0
            if self.sent.get(name) == size:
                continue
            data = gzip.compress(path.read_bytes() if path.exists() else b"")
            try:
                key = f"{target['prefix']}{name}.gz"
                self.client().put_object(Bucket=target["bucket"], Key=key, Body=data, ContentType="application/x-gzip")
                self.sent[name] = size
            except Exception as error:
                # A bucket that is gone keeps no step from running, on AWS neither.
                print(f"{name} cannot be written to {target['bucket']}: {error}", file=sys.stderr)


def _die_with_parent() -> None:
    """Linux ends the child even where this process is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def copy_traceback(folder: Path) -> None:
    """spark-submit sends what a Python says to stdout, errors too; who looks for a reason looks at stderr."""
    said = (folder / "stdout").read_text(errors="replace") if (folder / "stdout").exists() else ""
    begins = said.rfind("Traceback (most recent call last):")
    if begins >= 0:
        with open(folder / "stderr", "a") as log:
            log.write(f"What the script said last, also in stdout:\n{said[begins:].rstrip()[-20_000:]}\n")


def last_words(log: Path) -> str:
    """The line of a log that says best what went wrong."""
    lines = log.read_text(errors="replace").splitlines()[-400:] if log.exists() else []
    found = [line.strip() for line in lines if _LAST_WORDS.match(line.strip())]
    ours = [line for line in found if "SparkUserAppException" not in line]
    return (ours or found or [""])[-1][:1000]


def end_session() -> None:
    """End everything that this session's leader, this process, has started: first kindly."""
    for number, patience in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, _GRACE)):
        deadline = time.monotonic() + patience
        while (others := _others()) and time.monotonic() < deadline:
            for pid in others:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
            time.sleep(0.1)


def _others() -> list[int]:
    """The living processes of this session but this one."""
    me = os.getpid()
    if Path("/proc/self/stat").exists():
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != me:
                with contextlib.suppress(OSError, IndexError):
                    fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                    if int(fields[3]) == me and fields[0] not in "ZX":
                        found.append(int(entry.name))
        return found
    # Without /proc, the process group stands for it.
    told = subprocess.run(["ps", "-axo", "pid=,pgid=,stat="], capture_output=True, text=True, check=False).stdout
    rows = [line.split() for line in told.splitlines()]
    # ps itself is in it too.
    return [int(r[0]) for r in rows if len(r) == 3 and int(r[1]) == me and int(r[0]) != me and r[2][0] not in "ZR"]


def main() -> int:
    step = Step(Path(sys.argv[1]))
    threading.Thread(target=step.listen, daemon=True).start()
    outcome = step.run()
    end_session()  # what the script left behind
    step.upload()
    for name in ("tmp", "work"):
        shutil.rmtree(step.folder / name, ignore_errors=True)
    part = step.folder / "outcome.part"
    part.write_text(json.dumps(outcome))
    part.replace(step.folder / "outcome.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
