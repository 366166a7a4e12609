"""python -m infra_local up|down|status|reset|logs|serve; and `hosts`, which `up --hosts` runs in the background."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from infra_local import __version__, daemon
from infra_local.bodies import keeper
from infra_local.settings import SPEEDS, prepare_environment, settings
from infra_local.spark import installation

DEFAULT_PORT = 5566


def _home(given: str | None) -> Path:
    if given:
        return Path(given).expanduser().absolute()
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "infra-local"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="infra_local", description="A strict local AWS cloud on loopback.")
    parser.add_argument("--version", action="version", version=__version__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, text in (
        ("up", "start the daemon; returns when it answers"),
        ("serve", "run in the foreground"),
        ("down", "end the daemon; its state is kept"),
        ("status", "print what runs, as JSON"),
        ("reset", "make the account empty again"),
        ("logs", "print the daemon's log"),
        ("hosts", "run the hosts of a daemon that runs; for `up --hosts`"),
    ):
        verb = verbs.add_parser(name, help=text)
        verb.add_argument("--home", help="where state, log and pid are kept")
        if name in ("up", "serve"):
            verb.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 takes a free one")
            verb.add_argument("--speed", choices=SPEEDS, default="fast")
            verb.add_argument("--lag", type=float, default=0.0, metavar="SECONDS", help="describes lag behind creates")
            verb.add_argument("--default-roles", choices=("assumed", "required"), default="assumed")
            verb.add_argument("--stock", action="store_true", help="unmodified moto")
            verb.add_argument("--spark", action="store_true", help="really run the steps of clusters (needs Java)")
        if name == "up":
            verb.add_argument("--hosts", action="store_true", help="give its instances real bodies (Linux, root)")
        if name == "serve":
            verb.add_argument("--memory", action="store_true", help="keep no state on disk")
        if name == "logs":
            verb.add_argument("--lines", type=int, default=40)
    return parser


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except (keeper.HostsError, installation.SparkError) as error:
        # The words are for programs: a test that cannot run says why.
        what = "spark" if isinstance(error, installation.SparkError) else "hosts"
        print(json.dumps({"error": error.code, "of": what, "message": str(error)}))
        print(error, file=sys.stderr)
        return 1
    except daemon.DaemonError as error:
        print(error, file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    home = _home(options.home)
    if options.verb == "serve":
        prepare_environment(options.stock)
        settings.stock = options.stock
        settings.set_speed(options.speed)
        settings.set_lag(options.lag)
        settings.set_default_roles(options.default_roles)
        # Without a home of its own it must not take the place of the daemon in the usual one.
        place = home if options.home or not options.memory else None
        return daemon.serve(place, options.port, options.memory, _spark(options))
    if options.verb == "up":
        return _up(options, home)
    if options.verb == "hosts":
        return keeper.serve(home)
    if options.verb == "down":
        hosts = keeper.down(home)
        print(json.dumps({"stopped": daemon.down(home), "hosts": hosts}))
        return 0
    if options.verb == "logs":
        print(daemon.log_tail(home, options.lines))
        return 0
    known = daemon.find(home)
    if options.verb == "status":
        print(json.dumps({"up": bool(known), **({**known, **daemon.ask(known, "status")} if known else {})}))
        return 0
    if known:
        daemon.ask(known, "reset", {}, timeout=60)
    else:
        (home / "state.pickle").unlink(missing_ok=True)
    print(json.dumps({"reset": True, "up": bool(known)}))
    return 0


def _say(text: str) -> None:
    """Progress for whoever waits; the answer is the last line."""
    print(json.dumps({"say": text}), flush=True)


def _spark(options: argparse.Namespace) -> installation.Installation | None:
    """The Spark that steps run on, installed where it is not; nothing where it is not asked for."""
    if options.spark and options.stock:
        raise installation.SparkError("stock", "stock moto runs no steps: leave out --stock or --spark")
    return installation.ensure(_say) if options.spark else None


def _up(options: argparse.Namespace, home: Path) -> int:
    spark = _spark(options)
    if options.hosts:
        if options.stock:
            raise keeper.HostsError("stock", "stock moto has no hosts: leave out --stock or --hosts")
        keeper.prepare(home, _say)
    given = ["--port", str(options.port), "--speed", options.speed, "--lag", str(options.lag)]
    given += ["--default-roles", options.default_roles] + (["--stock"] if options.stock else [])
    known, already = daemon.up(home, given + (["--spark"] if spark else []))
    if already and known["stock"] != options.stock:
        raise daemon.DaemonError(
            f"a {'stock' if known['stock'] else 'strict'} cloud is up in {home}: end it first, or name another --home"
        )
    if already and spark:
        daemon.ask(known, "spark", {})
    hosts = {"hosts": keeper.up(home, known)} if options.hosts else {}
    print(json.dumps({**known, "already": already, **hosts}))
    return 0
