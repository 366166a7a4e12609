"""moto's own overhead on each call: lookups that it repeats and whose answers never change."""

from __future__ import annotations

from functools import lru_cache

import xmltodict
from moto import backends
from moto.core import responses, serialize
from moto.moto_server import werkzeug_app

# The services of a stack; made ready in the background, so that the first call is as quick as the next.
_WARM = ("ec2", "iam", "s3", "emr", "kms", "sts")


def install() -> None:
    # A scan of moto's 200 directories per request, and an inspection of 700 methods.
    known = tuple(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: known
    responses.method_names_from_class = lru_cache(lambda owner: frozenset(_method_names(owner)))

    _serializing()
    original = werkzeug_app.DomainDispatcherApplication.get_backend_for_host

    @lru_cache(maxsize=256)
    def by_host(host: str | None):
        return original(_dispatcher, host)

    _dispatcher = werkzeug_app.DomainDispatcherApplication(werkzeug_app.create_backend_app)
    werkzeug_app.DomainDispatcherApplication.get_backend_for_host = lambda self, host: by_host(host)


def _serializing() -> None:
    """Which attribute holds which field depends on class and shape alone; moto works it out for each object.

    That is four fifths of the time of a describe with many rows.
    """
    xmltodict._validate_name = lru_cache(maxsize=None)(xmltodict._validate_name)
    original = serialize.XFormedAttributePicker.get_possible_keys
    segments: dict[tuple[int, int], set[str]] = {}

    def possible_keys(self, context) -> tuple[str, ...]:
        obj = context.obj
        if hasattr(obj, "Meta"):  # an alias of the object's own
            return tuple(original(self, context))
        known = context.shape.__dict__.setdefault("_infra_local_keys", {})
        found = known.get((type(obj), context.key))
        if found is None:
            found = known[type(obj), context.key] = tuple(dict.fromkeys(original(self, context)))
        return found

    def pick(self, context):
        value = None
        for key in self.get_possible_keys(context):
            value = serialize.get_value(context.obj, key, serialize.MISSING)
            if value is not serialize.MISSING:
                break
        else:
            value = None
        transformers = self.response_transformers
        names = segments.get((id(transformers), len(transformers)))
        if names is None:
            names = segments[id(transformers), len(transformers)] = {path.rsplit(".", 1)[-1] for path in transformers}
        if context.key in names:
            key_path = f"{context.key_path}.{context.key}"
            for path, transform in transformers.items():
                if key_path.endswith(path):
                    return transform(value)
        return value

    serialize.XFormedAttributePicker.get_possible_keys = possible_keys
    serialize.XFormedAttributePicker.__call__ = pick


def _method_names(owner: type) -> list[str]:
    import inspect

    return [name for name, _ in inspect.getmembers(owner, predicate=inspect.isfunction)]


def warm_up(application) -> None:
    for service in _WARM:
        with application.lock:
            dispatcher = application.app
            if service not in dispatcher.app_instances:
                dispatcher.app_instances[service] = dispatcher.create_app(service)
