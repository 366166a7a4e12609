"""How the strict cloud changes moto: functions put around moto's own, at start-up, nothing forked."""

from __future__ import annotations

from collections.abc import Callable

from moto.ec2.exceptions import EC2ClientError


def around(owner: type, name: str) -> Callable:
    """Replace owner.name by the decorated function, which gets the original first.

    A name that moto does not have gets an original that refuses, so that operations can be added.
    """

    def decorate(function: Callable) -> Callable:
        original = getattr(owner, name, None) or _absent(name)

        def wrapper(self, *args, **kwargs):
            return function(original, self, *args, **kwargs)

        wrapper.__name__ = name
        wrapper.__qualname__ = f"{owner.__name__}.{name}"
        setattr(owner, name, wrapper)
        return function

    return decorate


def _absent(name: str) -> Callable:
    def absent(*_args, **_kwargs):
        raise NotImplementedError(f"moto has no {name}")

    return absent


def refuse(code: str, message: str) -> None:
    """An EC2 error as AWS words it."""
    raise EC2ClientError(code, message)
