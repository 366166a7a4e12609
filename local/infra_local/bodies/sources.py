"""Where this machine gets Debian's packages and Python's from: read at run time, so that hosts can do the same."""

from __future__ import annotations

import configparser
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

_APT = Path("/etc/apt")
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def text(suite: str) -> str:
    """This machine's apt sources of one Debian release, in the newer format; nothing where it has none."""
    stanzas: list[str] = []
    files = [_APT / "sources.list", *sorted((_APT / "sources.list.d").glob("*"))]
    for path in files:
        try:
            contents = path.read_text(errors="replace")
        except OSError:
            continue
        if path.suffix == ".sources":
            stanzas += [s.strip() for s in re.split(r"\n\s*\n", contents) if _is_of(s, suite)]
        elif path.suffix == ".list":
            stanzas += [s for line in contents.splitlines() if (s := _stanza(line, suite))]
    return "\n\n".join(stanzas) + "\n" if stanzas else ""


def _is_of(stanza: str, suite: str) -> bool:
    fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, re.MULTILINE))
    suites = fields.get("Suites", "").split()
    enabled = fields.get("Enabled", "yes").lower() not in ("no", "false", "0")
    return enabled and "deb" in fields.get("Types", "").split() and any(_matches(s, suite) for s in suites)


def _matches(given: str, suite: str) -> bool:
    return given in (suite, f"{suite}-updates", f"{suite}-security", f"{suite}/updates")


def _stanza(line: str, suite: str) -> str:
    found = re.match(r"deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+(.+)$", line.split("#")[0].strip())
    if not found or not _matches(found[3], suite):
        return ""
    options = dict(o.split("=", 1) for o in (found[1] or "").split() if "=" in o)
    stanza = f"Types: deb\nURIs: {found[2]}\nSuites: {found[3]}\nComponents: {found[4]}"
    for name, field in (("signed-by", "Signed-By"), ("trusted", "Trusted"), ("arch", "Architectures")):
        if name in options:
            stanza += f"\n{field}: {options[name].replace(',', ' ')}"
    return stanza


def keyrings(stanzas: str) -> list[Path]:
    """The files of keys that the sources name."""
    named = re.findall(r"^Signed-By:[ \t]*(/\S+)", stanzas, re.MULTILINE)
    return [Path(name) for name in named if Path(name).is_file()]


def logins() -> list[Path]:
    """apt's files with names and passwords for its sources."""
    return [p for p in (_APT / "auth.conf", *sorted((_APT / "auth.conf.d").glob("*.conf"))) if p.is_file()]


def pip() -> tuple[str, bool]:
    """The pip.conf for a host: this machine's index and patience; and whether it has a password in it."""
    kept: dict[str, str] = {}
    wanted = ("index-url", "extra-index-url", "trusted-host", "timeout", "retries", "find-links")
    home = Path.home()
    files = ["/etc/xdg/pip/pip.conf", "/etc/pip.conf", home / ".pip/pip.conf", home / ".config/pip/pip.conf"]
    for path in [*files, os.environ.get("PIP_CONFIG_FILE", "")]:
        parser = configparser.RawConfigParser()
        try:
            parser.read(path)
        except (configparser.Error, OSError):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                kept.update({k.replace("_", "-"): v for k, v in parser.items(section)})
    for name, value in os.environ.items():
        if name.startswith("PIP_"):
            kept[name[4:].lower().replace("_", "-").lstrip("-")] = value
    if "default-timeout" in kept:
        kept["timeout"] = kept["default-timeout"]
    # A folder of this machine is not there on a host.
    if not kept.get("find-links", "").startswith(("http://", "https://")):
        kept.pop("find-links", None)
    lines = [f"{name} = {' '.join(kept[name].split())}" for name in wanted if name in kept]
    secret = any(urlsplit(word).password for line in lines for word in line.split())
    return "[global]\ndisable-pip-version-check = true\n" + "".join(f"{line}\n" for line in lines), secret


def authorities() -> str:
    """The certificates that this machine trusts."""
    named = [os.environ.get(name, "") for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")]
    for path in [*named, *_BUNDLES]:
        if path and Path(path).is_file():
            return Path(path).read_text(errors="replace")
    return ""


def more_authorities(bundle: str, known: str) -> list[str]:
    """The certificates of one bundle that are not in another."""
    have = {"".join(c.split()) for c in _PEM.findall(known)}
    return [c for c in dict.fromkeys(_PEM.findall(bundle)) if "".join(c.split()) not in have]
