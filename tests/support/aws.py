"""The aws command line, many commands in one process: it takes half a second to start, and the tests use it a lot.

Reads one JSON list of arguments a line; answers each with one JSON line: exit code, standard output, standard error.
"""

import contextlib
import io
import json
import sys

from awscli.clidriver import create_clidriver

# A command line keeps what it has parsed, which makes the next command quick. Some of the commands that change something
# leave behind what makes others fail, so each of them has one of its own.
READS = ("describe-", "get-", "head-", "list-")

kept = create_clidriver()
for line in sys.stdin:
    arguments = json.loads(line)
    driver = kept if any(word.startswith(READS) for word in arguments) else create_clidriver()
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = driver.main(arguments)
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
