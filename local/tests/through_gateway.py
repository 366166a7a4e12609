"""ssh's ProxyCommand for the tests: through_gateway.py SOCKET HOST PORT. The program's own is `infra local connect`."""

import os
import socket
import sys
import threading

wire = socket.socket(socket.AF_UNIX)
wire.connect(sys.argv[1])
wire.sendall(f"{sys.argv[2]} {sys.argv[3]}\n".encode())
answer = b""
while not answer.endswith(b"\n"):
    answer += wire.recv(1)
if answer != b"ok\n":
    sys.exit(answer.decode().strip())


def send() -> None:
    while data := os.read(0, 1 << 16):
        wire.sendall(data)
    wire.shutdown(socket.SHUT_WR)


threading.Thread(target=send, daemon=True).start()
while data := wire.recv(1 << 16):
    os.write(1, data)
