"""What can be tuned while the cloud runs: speed, lag, leniency, and the injected failures.

One object, shared by the HTTP server and by the patches on moto. `speed` decides how long
AWS's state transitions take; nothing else reads a wall clock.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass

SPEEDS = ("instant", "fast", "real")

# Seconds that each transition takes. AWS's own times are between half and twice the "real" ones.
# instant: the state is shown once, in the answer of the call that starts it, and is over by the next call.
DURATIONS: dict[str, dict[str, float]] = {
    "fast": {
        "nat-create": 1.0,
        "nat-delete": 1.0,
        "instance-start": 0.8,
        "instance-stop": 0.8,
        "instance-terminate": 0.8,
        "volume-create": 0.2,
        "emr-start": 0.8,
        "emr-bootstrap": 0.8,
        "emr-terminate": 0.8,
        "step-pending": 0.3,
        "step-run": 0.5,
    },
    "real": {
        "nat-create": 60.0,
        "nat-delete": 40.0,
        "instance-start": 12.0,
        "instance-stop": 25.0,
        "instance-terminate": 30.0,
        "volume-create": 2.0,
        "emr-start": 150.0,
        "emr-bootstrap": 90.0,
        "emr-terminate": 60.0,
        "step-pending": 5.0,
        "step-run": 20.0,
    },
}


@dataclass
class Settings:
    speed: str = "fast"
    lag: float = 0.0
    stock: bool = False
    # EMR_DefaultRole and EMR_EC2_DefaultRole: "assumed" as in an account where
    # `aws emr create-default-roles` was once run, "required" as in an empty one.
    default_roles: str = "assumed"

    def duration(self, what: str) -> float:
        if self.speed == "instant":
            return 0.0
        return DURATIONS[self.speed][what]

    def set_speed(self, speed: str) -> None:
        if speed not in SPEEDS:
            raise ValueError(f"speed is one of {', '.join(SPEEDS)}, not {speed!r}")
        self.speed = speed

    def set_lag(self, lag: float) -> None:
        lag = float(lag)
        if not 0 <= lag <= 3600:
            raise ValueError("lag is a number of seconds between 0 and 3600")
        self.lag = lag

    def set_default_roles(self, how: str) -> None:
        if how not in ("assumed", "required"):
            raise ValueError("default_roles is assumed or required")
        self.default_roles = how

    def as_dict(self) -> dict:
        return asdict(self)


settings = Settings()

# moto reads these at import: they must be set before anything of moto is imported.
STRICT_ENVIRONMENT = {
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
    "MOTO_ENABLE_AMI_VALIDATION": "1",
    "MOTO_ENABLE_KEYPAIR_VALIDATION": "1",
    "MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION": "1",
}


def prepare_environment(stock: bool) -> None:
    """Keep the process away from any real account, and switch moto's own strictness on."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            del os.environ[name]
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    # AWS-managed policies exist in every account; without this moto has none, in stock mode too
    # nothing of infra could be applied.
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
    if not stock:
        os.environ.update(STRICT_ENVIRONMENT)
