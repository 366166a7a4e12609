"""Runs a program on a terminal of its own and answers one question: columns, what to wait for, answer, program ..."""

import fcntl
import json
import os
import pty
import struct
import sys
import termios

columns, question, answer = int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3].encode()
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    os.execv(sys.argv[4], sys.argv[4:])
said, answered = b"", not answer
while True:
    try:
        part = os.read(terminal, 65536)
    except OSError:  # Linux's way to say that the other side is closed.
        break
    if not part:
        break
    said += part
    if not answered and question in said:
        os.write(terminal, answer)
        answered = True
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(json.dumps([code, said.decode().replace("\r\n", "\n")]))
