"""moto's own overhead on each call: two lookups that it repeats and that never change."""

from __future__ import annotations

from functools import lru_cache

from moto import backends
from moto.core import responses
from moto.moto_server import werkzeug_app

# The services of a stack; made ready in the background, so that the first call is as quick as the next.
_WARM = ("ec2", "iam", "s3", "emr", "kms", "sts")


def install() -> None:
    # A scan of moto's 200 directories per request, and an inspection of 700 methods.
    known = tuple(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: known
    responses.method_names_from_class = lru_cache(lambda owner: frozenset(_method_names(owner)))

    original = werkzeug_app.DomainDispatcherApplication.get_backend_for_host

    @lru_cache(maxsize=256)
    def by_host(host: str | None):
        return original(_dispatcher, host)

    _dispatcher = werkzeug_app.DomainDispatcherApplication(werkzeug_app.create_backend_app)
    werkzeug_app.DomainDispatcherApplication.get_backend_for_host = lambda self, host: by_host(host)


def _method_names(owner: type) -> list[str]:
    import inspect

    return [name for name, _ in inspect.getmembers(owner, predicate=inspect.isfunction)]


def warm_up(application) -> None:
    for service in _WARM:
        with application.lock:
            dispatcher = application.app
            if service not in dispatcher.app_instances:
                dispatcher.app_instances[service] = dispatcher.create_app(service)
