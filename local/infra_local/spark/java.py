"""Finding a Java that Spark 3.5 runs on. Nothing is installed: what is missing is said."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

# https://spark.apache.org/docs/3.5.6/#downloading, newest first.
VERSIONS = (17, 11, 8)
_PLACES = ("/usr/lib/jvm/*", "/usr/java/*", "/opt/java/*", "/Library/Java/JavaVirtualMachines/*/Contents/Home",
           "/opt/homebrew/opt/openjdk@*/libexec/openjdk.jdk/Contents/Home", "/usr/local/opt/openjdk@*/libexec/openjdk.jdk/Contents/Home")  # fmt: skip


def find() -> tuple[Path | None, str]:
    """The home of a Java that fits, and what there is where none does."""
    given = os.environ.get("JAVA_HOME")
    candidates = [Path(given)] if given else []
    on_path = shutil.which("java")
    if on_path and (home := _home(Path(on_path))):
        candidates.append(home)
    for place in _PLACES:
        candidates += sorted(p for p in Path("/").glob(place.lstrip("/")) if not p.is_symlink())
    found: dict[int, Path] = {}
    others: list[str] = []
    for home in dict.fromkeys(c.resolve() for c in candidates):
        version = _version(home)
        if version in VERSIONS:
            # JAVA_HOME and the one on the path come first, whatever their version.
            if home in [c.resolve() for c in candidates[: 2 if given else 1]]:
                return home, ""
            found.setdefault(version, home)
        elif version:
            others.append(str(version))
    best = next((found[v] for v in VERSIONS if v in found), None)
    return best, f"Java {' and '.join(dict.fromkeys(others))}" if others else "no Java"


def outside(home: Path) -> list[Path]:
    """The folders that a Java has links into, outside of its own: Debian's has its settings below /etc."""
    folders = set()
    parts = (home / name for name in ("conf", "lib", "jre"))
    for link in (p for part in parts for p in [part, *part.rglob("*")] if p.is_symlink()):
        target = link.resolve()
        if target.exists() and home not in target.parents:
            folders.add(target if target.is_dir() else target.parent)
    tops = [f for f in folders if not folders & set(f.parents) and len(f.parts) > 2]
    return sorted(tops)


def advice() -> str:
    """How a Java comes onto this machine."""
    if platform.system() == "Darwin":
        return "brew install openjdk@17"
    for program, command in (
        ("apt-get", "sudo apt-get install openjdk-17-jre-headless"),
        ("dnf", "sudo dnf install java-17-openjdk-headless"),
        ("pacman", "sudo pacman -S jre17-openjdk-headless"),
        ("apk", "sudo apk add openjdk17-jre-headless"),
    ):
        if shutil.which(program):
            return command
    return "install a Java 17, or name one by JAVA_HOME"


def _home(program: Path) -> Path | None:
    """The folder that a `java` belongs to. On macOS the one on the path is a stub that knows others."""
    home = program.resolve().parent.parent
    if platform.system() == "Darwin" and home == Path("/usr"):
        done = subprocess.run(["/usr/libexec/java_home"], capture_output=True, text=True, check=False)
        return Path(done.stdout.strip()) if done.returncode == 0 else None
    # Java 8 has a second java below jre/.
    return home.parent if home.name == "jre" else home


def _version(home: Path) -> int | None:
    program = home / "bin" / "java"
    if not program.exists():
        return None
    try:
        done = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(\d+)(?:\.(\d+))?', done.stderr)
    if not found:
        return None
    return int(found[2] or 0) if found[1] == "1" else int(found[1])
