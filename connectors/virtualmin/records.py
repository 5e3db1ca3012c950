"""Records of Virtualmin's lists and ours: what stands where, both ways. Nothing here talks to anybody."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo

from migrator.connector import Native

from .api import Listed

BLOCK = 1024  # bytes; modify-user.pl speaks of 1 kB blocks
HOUR = 3600  # the panel's own form shows the stored period in minutes, by 60: it is seconds (simple-lib.pl)
DAY = "%Y-%m-%d"
MOMENT = "%Y-%m-%dT%H:%M:%SZ"
ADDRESS = re.compile(r"[^\s@|\\:/\"']+@[^\s@]+")
# read_autoreply takes such lines off the beginning of a text (simple-lib.pl)
HEADERS = re.compile(
    r"\s*(Reply-Tracking|Reply-Period|No-Autoreply|No-Autoreply-Regexp|Autoreply-File|Autoreply-Start|Autoreply-End"
    r"|From|Charset|No-Forward-Reply):"
)


def password() -> str:
    """Return a password that nobody knows or will: the login is shut until its owner sets one of his own."""
    return f"{secrets.token_urlsafe(24)}-aA1"


def crypted(told: str) -> str:
    """Return a hash as Unix has it, without the scheme before it."""
    return re.sub(r"^\{[^}]*\}", "", told)


def blocks(quota: object) -> str:
    """Return a quota in bytes as the parameter that says it; a part of a block is a whole one."""
    return str(-(-int(str(quota)) // BLOCK)) if quota else "UNLIMITED"


def told_text(body: str) -> str:
    r"""Return a text as one parameter: its line ends are ``\n``."""
    return body.replace("\n", "\\n")


def day(moment: object, zone: tzinfo) -> str | None:
    """Return the day that begins at a moment on the server; None where it is another time of day."""
    at = datetime.fromisoformat(str(moment)).astimezone(zone)
    return at.strftime(DAY) if at.time().replace(microsecond=0) == at.min.time() else None


def begins(told: str, zone: tzinfo) -> str | None:
    """Return the moment at which a day begins on the server."""
    try:
        at = datetime.strptime(told, DAY).replace(tzinfo=zone)
    except ValueError:
        return None
    return at.astimezone(UTC).strftime(MOMENT)


def domain(one: Listed, home: str, *, web: str) -> Native:
    """Return a virtual server, and the site that is one of its features."""
    features = {*one.one("features").split(), *one.one("plugins").split()}
    sort = "Alias" if one.one("type").startswith("Alias") else one.one("type")
    made: Native = {"name": one.name, "type": sort, "mail": "y" if "mail" in features else "n"}
    made["site"] = web in features and sort != "Alias"
    made["dns"] = "dns" in features
    made["web"] = "web" in features
    if one.one("real_domain"):
        made["of"] = one.one("real_domain")
    if made["site"]:
        made["document_root"] = below(one.one("html_directory"), home)
        if one.one("php_execution_mode") != "none" and one.one("php_version"):
            made["php_version"] = one.one("php_version")
    made["told"] = {key: one.all(key) for key in ("disabled", "features", "plugins") if one.all(key)}
    return made


def below(path: str, home: str) -> str:
    """Return a path below a home; as it is where it lies elsewhere."""
    return path.removeprefix(home.rstrip("/") + "/") if home else path


def user(one: Listed, home: str, zone: tzinfo) -> Native:
    """Return a login: a mailbox, an FTP account, or what else Virtualmin makes of Unix users."""
    of = one.one("domain")
    address = (one.one("email_address") or f"{one.name}@{of}").lower()
    made: Native = {"address": address, "box": address, "domain": of, "login": one.one("unix_username")}
    ftp, manager = one.one("ftp_access") == "Yes", one.one("user_type") not in ("Normal user", "")
    made["sort"] = "mailbox" if one.one("email_address") else "site" if manager else "ftp" if ftp else "database"
    made["name"] = one.one("real_name").strip() or None
    made["quota"] = int(one.one("home_byte_quota") or 0) or None
    made["hash"] = one.one("encrypted_password") or None
    made["suspended"] = one.one("disabled") == "Yes"
    made["folder"] = below(one.one("home_directory"), home)
    made["local"], made["forward"] = one.one("deliver_to_user") != "No", one.all("forward")
    text = one.one("autoreply_message").replace("\\n", "\n").strip()
    made["answers"] = bool(text)
    if text:
        period = one.one("autoreply_period")
        made |= {
            "body": text, "hours": -(-int(period) // HOUR) if period.isdecimal() else None,
            "start": begins(one.one("autoreply_start"), zone), "end": begins(one.one("autoreply_end"), zone),
        }  # fmt: skip
    return {key: value for key, value in made.items() if value is not None}


def aliases(listed: Sequence[Listed], users: Iterable[Native], others: Mapping[str, str]) -> list[Native]:
    """Return forwards, catch-alls, and what the owners of mailboxes forward.

    ``others``: other names of domains, to the domain; what Virtualmin puts there itself leads to that one's mail.
    """
    made = []
    said = {one.name.lower(): one.all("to") for one in listed}
    for one in listed:
        address = one.name.lower()
        local, _, of = address.rpartition("@")
        body: Native = {"id": address, "address": address, "domain": of, "of": of}
        real = f"{local}@{others[of]}" if of in others else ""
        copied = of in others and one.all("to") in ([f"%1@{others[of]}"], [real], said.get(real))
        body["sort"] = "copied" if copied else "alias" if local else "catch_all"
        body |= _targets(one.all("to"), single=not local)
        made.append(body | ({"keep_copy": False} if local else {}))
    for held in users:
        if held["sort"] == "mailbox" and held.get("forward"):
            body = {"id": held["address"], "address": held["address"], "domain": held["domain"], "of": held["domain"]}
            made.append(body | {"sort": "alias", "keep_copy": held["local"], **_targets(held["forward"])})
    return made


def _targets(told: list[str], *, single: bool = False) -> Native:
    addresses = [one for one in told if ADDRESS.fullmatch(one)]
    rest = [one for one in told if one not in addresses]
    made: Native = {"other": "\n".join(rest)} if rest else {}
    if single and len(addresses) == 1:
        return made | {"destination": addresses[0]}
    return made | {"destinations": addresses}


def database(one: Listed, of: str) -> Native:
    """Return a database of a virtual server."""
    return {"id": f"{one.one('type')}/{one.name}", "name": one.name, "engine": one.one("type"), "domain": of}


def redirect(one: Listed, host: str) -> Native | None:
    """Return a redirect of a site; None for what is a folder under another path, or a pattern."""
    if one.one("type") != "Redirect" or one.one("match_sub-paths") == "Yes":
        return None
    return {
        "id": f"{host}{one.name}", "host": host, "path": one.name, "to": one.one("destination"),
        "permanent": one.one("code") in ("301", "308"), "wildcard": one.one("match_exact_path") != "Yes",
    }  # fmt: skip


def login(address: str, server: str) -> tuple[str, str]:
    """Return the short name and the virtual server of a login; one without a server is of the account's own."""
    name, _, of = address.lower().rpartition("@")
    return (name, of) if name else (of, server)
