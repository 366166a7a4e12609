"""Runs on a cluster's nodes, alone: a page for each application that the local cloud does not run, which says so.

Only the standard library, and nothing of this package: the file is copied onto the host.
"""

from __future__ import annotations

import html
import json
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

YARN = "/ws/v1/cluster"

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{name} on {cluster}</title>
<style>body {{ font: 1.1em/1.5 sans-serif; max-width: 38em; margin: 4em auto; padding: 0 1em }}</style></head>
<body><h1>{name}</h1>
<p>On AWS, {name}'s page of cluster <code>{cluster}</code> is here: port {port} of <code>{host}</code>.</p>
<p>This is a stand-in. {why}</p>
</body></html>
"""


def handler(config: dict, page: dict) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urllib.parse.urlsplit(self.path)
            if page["name"].startswith("YARN") and url.path.rstrip("/").startswith(YARN):
                self.tell_yarn(url)
            elif url.path == "/" and page["path"] != "/":
                self.answer(302, "", ("Location", page["path"]))
            else:
                text = PAGE.format(**{name: html.escape(str(value)) for name, value in {**config, **page}.items()})
                self.answer(200 if url.path in ("/", page["path"], page["path"].rstrip("/")) else 404, text)

        do_HEAD = do_GET

        def tell_yarn(self, url: urllib.parse.SplitResult) -> None:
            what = url.path[len(YARN) :].strip("/") or "info"
            asked = {"cluster": config["cluster"], "what": what}
            states = urllib.parse.parse_qs(url.query)
            asked["states"] = ",".join(states.get("states", []) + states.get("state", []))
            address = f"{config['cloud']}/infra-local/yarn?{urllib.parse.urlencode(asked)}"
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            try:
                with opener.open(address, timeout=10) as found:
                    status, text = 200, found.read().decode()
            except urllib.error.HTTPError as error:
                status, text = error.code, error.read().decode()
            except OSError as error:
                status, text = 503, json.dumps({"error": f"the local cloud does not answer: {error}"})
            self.answer(status, text, ("Content-Type", "application/json"))

        def answer(self, status: int, text: str, *fields: tuple[str, str]) -> None:
            body = text.encode()
            self.send_response(status)
            named = {"Content-Type": "text/html; charset=utf-8", **dict(fields), "Content-Length": str(len(body))}
            for name, value in named.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args) -> None:
            pass

    return Handler


def main() -> None:
    with open(sys.argv[1]) as source:
        config = json.load(source)
    threads = []
    for page in config["pages"]:
        server = ThreadingHTTPServer(("0.0.0.0", page["port"]), handler(config, page))
        threads.append(threading.Thread(target=server.serve_forever))
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main()
