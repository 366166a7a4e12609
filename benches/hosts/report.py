"""The table: what was measured, side by side, and whether infra's bounds hold."""

from __future__ import annotations

from measure import CHANGED, CONVERGED, CREATED, PATIENCE, REMOVED, Figure, WarmStart

# The most round trips that infra may take, however many people there are.
_TRIPS = {CREATED: 5, CONVERGED: 3, CHANGED: 5, REMOVED: 5}
# The most seconds that it may take for so many.
_SECONDS = {(500, CREATED): 60.0, (500, CONVERGED): 2.0}
_SUDO_TRIPS = 5
_START_SECONDS = 3.0

_FORM = "{:>5}  {:<16} {:>9} {:>9} {:>8}  {:>7} {:>8} {:>8}  {}"


class Report:
    """Printed row by row, as figures come: the last ones take minutes."""

    def __init__(self, beside: str) -> None:
        self.is_broken = self._left_out = False
        print(f"\nPeople on a host: the same accounts and keys, by infra and by {beside}, on the same host by turns")
        print(f"{'':>23} {'seconds':>28}  {'round trips':>25}")
        print(_FORM.format("users", "", "infra", "Ansible", "", "infra", "Ansible", "", "infra at most"), flush=True)

    def people(self, count: int, infra: dict[str, Figure], ansible: dict[str, Figure] | None) -> None:
        """What so many people took."""
        for step, mine in infra.items():
            seconds, trips = _SECONDS.get((count, step)), _TRIPS[step]
            holds = mine.trips <= trips and (seconds is None or mine.seconds < seconds)
            self._left_out |= ansible is None or step not in ansible
            bound = f"{trips} round trips" + (f", {seconds:.0f} s" if seconds else "")
            theirs = ["-"] * 4
            if other := (ansible or {}).get(step):
                theirs = [
                    f"{other.seconds:.2f}", f"{other.seconds / mine.seconds:.1f} ×",
                    str(other.trips), f"{other.trips / mine.trips:.1f} ×",
                ]  # fmt: skip
            print(
                _FORM.format(
                    count, step, f"{mine.seconds:.2f}", *theirs[:2], mine.trips, *theirs[2:], self._bound(bound, holds)
                ),
                flush=True,
            )

    def sudo(self, count: int, figure: Figure) -> None:
        """What it took to give so many people sudo."""
        bound = self._bound(f"{_SUDO_TRIPS} round trips", figure.trips <= _SUDO_TRIPS)
        print(_FORM.format(count, "all get sudo", f"{figure.seconds:.2f}", "", "", figure.trips, "", "", bound))

    def start(self, took: WarmStart) -> None:
        """How long three hosts took to go, and to come."""
        if self._left_out:
            print(f"  -: not measured: with --quick, or after a step that took Ansible more than {PATIENCE:.0f} s")
        bound = self._bound(f"{_START_SECONDS:.0f} s", took.hosts < _START_SECONDS)
        print("\nThree hosts on this machine, not for the first time")
        print(f"       local up: the cloud itself             {took.cloud:>8.2f} s")
        print(f"       local up --hosts, until all answer     {took.hosts:>8.2f} s   at most {bound}")
        print(f"       local down                             {took.down:>8.2f} s\n", flush=True)

    def _bound(self, bound: str, holds: bool) -> str:
        self.is_broken |= not holds
        return f"{bound}  {'holds' if holds else 'BROKEN'}"
