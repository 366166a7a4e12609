"""The local AWS cloud of `infra`: moto, made as strict as AWS where that matters."""

__version__ = "0.1.0"
