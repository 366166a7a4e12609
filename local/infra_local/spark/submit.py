"""What a step asks for, and what of it is carried out here: spark-submit, on this machine instead of on YARN."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field

MASTER = "local[2]"
MEMORY = "1g"

# Options that no value follows; every other one has one.
_FLAGS = ("--verbose", "-v", "--supervise", "--help", "-h", "--version", "--usage-error")
# The local cloud's own in any case.
_OURS = (
    "--master",
    "--deploy-mode",
    "--driver-memory",
    "--driver-class-path",
    "--driver-java-options",
    "--driver-cores",
)
_LISTS = ("--py-files", "--files", "--jars", "--archives")
_OUR_SETTINGS = (
    "spark.master", "spark.submit.deployMode", "spark.driver.memory", "spark.driver.extraClassPath",
    "spark.driver.extraJavaOptions", "spark.driver.extraLibraryPath", "spark.driver.host", "spark.driver.bindAddress",
    "spark.executor.extraClassPath", "spark.executor.extraJavaOptions", "spark.executor.extraLibraryPath",
    "spark.pyspark.python", "spark.pyspark.driver.python", "spark.local.dir",
)  # fmt: skip
_OUR_PREFIXES = (
    "spark.eventLog.",
    "spark.history.",
    "spark.yarn.",
    "spark.shuffle.service.",
    "spark.dynamicAllocation.",
)
_S3 = ("s3://", "s3a://", "s3n://")


class Refused(Exception):
    """A step that the local cloud cannot carry out, with the reason."""


@dataclass
class Submission:
    """The words after spark-submit, and what to fetch before: s3:// addresses and the names that stand for them."""

    arguments: list[str]
    fetched: dict[str, str] = field(default_factory=dict)

    def place(self, uri: str) -> str:
        """The name, in the step's own folder, of what a word names."""
        if not uri.startswith(_S3):
            return uri
        base, _, alias = uri.partition("#")
        name = self.fetched.setdefault(base, f"files/{len(self.fetched)}/{posixpath.basename(base) or 'file'}")
        return f"{name}#{alias}" if alias else name


def read(jar: str, given: list[str]) -> Submission:
    """What runs for a step."""
    name = posixpath.basename(jar)
    if name != "command-runner.jar":
        hint = (
            "give a shell script's commands to spark-submit"
            if name == "script-runner.jar"
            else "use command-runner.jar"
        )
        raise Refused(f"the local cloud runs spark-submit alone, and not the jar {jar}: {hint}")
    command = posixpath.basename(given[0]) if given else ""
    if command != "spark-submit":
        raise Refused(f"the local cloud runs spark-submit alone, and not {command or 'a step without arguments'}")
    made = Submission(["--master", MASTER, "--deploy-mode", "client", "--driver-memory", MEMORY])
    words = list(given[1:])
    while words and words[0].startswith("-"):
        option, joined, value = words.pop(0).partition("=")
        if option in _FLAGS:
            made.arguments.append(option)
            continue
        if not joined:
            if not words:
                raise Refused(f"spark-submit's {option} has no value")
            value = words.pop(0)
        if option in _OURS or (option in ("--conf", "-c") and is_ours(value.partition("=")[0])):
            continue
        if option in _LISTS:
            value = ",".join(made.place(part.strip()) for part in value.split(",") if part.strip())
        elif option == "--properties-file":
            value = made.place(value)
        made.arguments += [option, value]
    if not words:
        raise Refused("spark-submit is given no script or jar")
    # What follows is the script's own business, and untouched.
    made.arguments += [made.place(words[0]), *words[1:]]
    return made


def is_ours(setting: str) -> bool:
    """Whether a setting of Spark is not the step's to choose here."""
    return setting.strip() in _OUR_SETTINGS or setting.strip().startswith(_OUR_PREFIXES)
