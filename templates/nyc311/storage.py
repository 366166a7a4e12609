"""Folders of files, local or in S3, as the extract and luigi's targets see them.

A file appears whole or not at all: locally it is written beside its place and renamed, in S3 a put is one act. Objects
get the bucket's own encryption.
"""

import contextlib
import functools
import os
import pathlib
import urllib.parse

import boto3
from botocore.exceptions import ClientError


def folder(uri):
    """The folder of that URI: `s3://bucket/prefix/`, `file:///path` or a path."""
    parts = urllib.parse.urlsplit(uri)
    if parts.scheme in ("s3", "s3a", "s3n"):
        if not parts.netloc:
            raise ValueError(f"{uri} names no bucket")
        return Bucket(parts.netloc, parts.path.strip("/"))
    if parts.scheme == "file":
        return Local(urllib.parse.unquote(parts.path))
    if parts.scheme:
        raise ValueError(f"{uri} is neither s3://BUCKET/FOLDER nor a local folder")
    return Local(uri)


class Local:
    """A folder on this machine."""

    def __init__(self, path):
        self.path = pathlib.Path(path).absolute()

    def __str__(self):
        return str(self.path)

    def uri(self, name=""):
        """The same place as Spark is told of it."""
        return (self.path / name).as_uri() if name else self.path.as_uri()

    def read(self, name):
        """The file's bytes; None where there is none."""
        try:
            return (self.path / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def exists(self, name):
        """Whether there is such a file."""
        return (self.path / name).is_file()

    def write(self, name, content):
        """Writes the file, in the place of one that is there."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.{os.getpid()}.new")
        try:
            with open(new, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                new.unlink()
            raise

    def names(self, below):
        """The files directly in a folder below this one, in order."""
        try:
            return sorted(entry.name for entry in os.scandir(self.path / below) if entry.is_file())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def delete(self, name):
        """Deletes a file; one that is not there is as good."""
        with contextlib.suppress(FileNotFoundError):
            (self.path / name).unlink()


class Bucket:
    """A folder of a bucket. AWS's own settings say who asks, where, and at which endpoint."""

    def __init__(self, bucket, prefix):
        self.bucket, self.prefix = bucket, prefix

    @property
    def client(self):
        """S3. A process that luigi forks gets its own: connections cannot be shared."""
        return _client(os.getpid())

    def __str__(self):
        return self.uri()

    def key(self, name):
        """The key of a file."""
        return "/".join(part for part in (self.prefix, name.strip("/")) if part)

    def uri(self, name=""):
        """The same place as Spark is told of it."""
        return f"s3://{self.bucket}/{self.key(name)}"

    def read(self, name):
        """The file's bytes; None where there is none."""
        try:
            return self.client.get_object(Bucket=self.bucket, Key=self.key(name))["Body"].read()
        except ClientError as error:
            if _code(error) in ("NoSuchKey", "404"):
                return None
            raise

    def exists(self, name):
        """Whether there is such a file."""
        try:
            self.client.head_object(Bucket=self.bucket, Key=self.key(name))
        except ClientError as error:
            # A HEAD has no body, so S3 gives the bare status. Without s3:ListBucket it would be 403: an error then.
            if _code(error) in ("NoSuchKey", "404", "NotFound"):
                return False
            raise
        return True

    def write(self, name, content):
        """Writes the file, in the place of one that is there."""
        self.client.put_object(Bucket=self.bucket, Key=self.key(name), Body=content, ContentType="application/json")

    def names(self, below):
        """The files directly in a folder below this one, in order."""
        prefix = self.key(below) + "/"
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix, Delimiter="/")
        keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
        return sorted(key[len(prefix) :] for key in keys if key != prefix)

    def delete(self, name):
        """Deletes a file; one that is not there is as good."""
        self.client.delete_object(Bucket=self.bucket, Key=self.key(name))


@functools.lru_cache
def _client(_process):
    return boto3.client("s3")


def _code(error):
    return error.response.get("Error", {}).get("Code", "")
