"""The way in: a unix socket whose connections come out in the user's network.

A client sends `HOST PORT` on a line and reads `ok` or `error REASON`; from then on the line is theirs. `infra local
connect` is such a client, and ssh's ProxyCommand.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import tempfile
from ipaddress import ip_address
from pathlib import Path

from infra_local.bodies.relay import dial_inside, reason, relay

# The kernel takes 107 bytes.
_LONGEST = 107
_PATIENCE = 30.0


def place(home: Path) -> Path:
    """Where the socket is: beside the cloud's other files, or in a short folder of its own where that path is too long."""
    path = home / "gateway.sock"
    if len(os.fsencode(path)) <= _LONGEST:
        return path
    name = f"infra-{os.geteuid()}-{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}"
    base = Path("/run/user", str(os.geteuid()))
    return (base if base.is_dir() else Path(tempfile.gettempdir())) / name / "gateway.sock"


async def serve(path: Path, network: Path) -> asyncio.AbstractServer:
    """Listen at `path`, which only its owner can use."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            address, port = _asked(await asyncio.wait_for(reader.readline(), _PATIENCE))
            far = await dial_inside(network, address, port)
        except (OSError, ValueError, asyncio.TimeoutError) as error:
            with contextlib.suppress(OSError):
                writer.write(f"error {reason(error)}\n".encode())
                await writer.drain()
            writer.close()
            return
        writer.write(b"ok\n")
        with contextlib.suppress(OSError):
            await relay((reader, writer), far)

    _make_folder(path.parent)
    path.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(handle, path=path, limit=4096)
    finally:
        os.umask(before)


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    known = folder.lstat()
    if known.st_uid != os.geteuid() or folder.is_symlink():
        raise PermissionError(f"{folder} belongs to somebody else")
    if folder.name.startswith("infra-"):
        folder.chmod(0o700)


def _asked(line: bytes) -> tuple[str, int]:
    words = line.decode("ascii", "replace").split()
    if len(words) != 2 or not words[1].isdigit() or not 0 < int(words[1]) < 65536:
        raise ValueError("a line with an address and a port is expected")
    try:
        return str(ip_address(words[0])), int(words[1])
    except ValueError:
        raise ValueError(f"{words[0]} is not an address") from None
