"""DirectAdmin's twin for reading an account by its legacy API, from its changelogs and from clients of others.

A command answers JSON where ``json=yes`` asks for it, else url-encoded; both with HTTP 200, a refusal too. Only a
command that the login key may not use is a 403. ``box.store`` holds what commands list, by domain where they ask
for one.
"""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import Error
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote, urlencode

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Clock, Native, Routes, Sandbox

USER = "acme"
EMAIL = USER
TOKEN = "SANDBOX0KEY"
SETTINGS = {"user": USER}
routes = Routes()
Command = Callable[[Sandbox, dict[str, str]], Any]
COMMANDS: dict[str, tuple[tuple[str, ...], Command]] = {}


class Refusal(Exception):
    """What a command says in place of doing something."""


def command(name: str, *needs: str) -> Callable[[Command], Command]:
    """Register a command and what it must be given."""

    def register(does: Command) -> Command:
        COMMANDS[name] = (needs, does)
        return does

    return register


def create(*, clock: Clock | None = None, plan: str = "own", limits: bool = True) -> Sandbox:
    """Return an account with its main domain, ``acme.example``."""
    box = Sandbox("directadmin", routes, clock=clock, host="da1.example:2222", admit=_admitted)
    box.state |= {"main": "acme.example", "without": set(), "denied": set()}
    box.store["listed domains"] = {0: {"domain": "acme.example", "active": "yes"}}
    return box


def seed(box: Sandbox, stream: str, bodies: Iterable[Native]) -> None:
    """Put records in, as DirectAdmin's own commands list them."""
    for body in bodies:
        kept = box.store[f"listed {stream}"]  # DirectAdmin's lists, which are none of anybody's streams
        kept[len(kept)] = dict(body)


def _admitted(box: Sandbox, request: Request) -> Response | None:
    scheme, _, coded = request.headers.get("Authorization", "").partition(" ")
    try:
        given = b64decode(coded, validate=True).decode() if scheme == "Basic" else ""
    except (Error, UnicodeDecodeError):
        given = ""
    if given == f"{USER}:{TOKEN}":
        return None
    return Response("<html>Please enter your Username and Password</html>", 401, content_type="text/html")


def _answer(request: Request, found: Any) -> Response:
    if request.args.get("json") == "yes":
        return Response(json.dumps(found), 200, content_type="application/json")
    if isinstance(found, list):
        return Response("&".join(f"list[]={quote(str(one))}" for one in found), 200, content_type="text/plain")
    flat = {key: urlencode(value) if isinstance(value, dict) else value for key, value in found.items()}
    return Response(urlencode(flat), 200, content_type="text/plain")


@routes("GET", "/<name>")
def execute(box: Sandbox, request: Request, name: str) -> Response:
    """Carry out a command."""
    known = COMMANDS.get(name)
    if name in box.state["denied"]:
        return Response("The request you've made cannot be executed because the login key may not use it", 403)
    if known is None or name in box.state["without"]:
        return _refused(request, "Cannot Execute Your Command", "The requested command is not available to you")
    needs, does = known
    given = dict(request.args)
    try:
        for need in needs:
            if need not in given:
                raise Refusal(f"You must provide {need}")
        if "domain" in needs and given["domain"] not in _domains(box):
            raise Refusal(f"You do not own the domain {given['domain']}")
        return _answer(request, does(box, given))
    except Refusal as refusal:
        return _refused(request, "Error", str(refusal))


def _refused(request: Request, text: str, details: str) -> Response:
    if request.args.get("json") == "yes":
        return _answer(request, {"error": text, "result": details})
    return _answer(request, {"error": "1", "text": text, "details": details})


def _listed(box: Sandbox, stream: str, domain: str = "") -> list[Native]:
    return [one for one in box.store[f"listed {stream}"].values() if not domain or one.get("of") == domain]


def _domains(box: Sandbox) -> list[str]:
    pointers = [one["name"] for one in _listed(box, "pointers")]
    return [*(one["domain"] for one in _listed(box, "domains")), *pointers]


@command("CMD_API_SHOW_USER_CONFIG")
def show_user_config(box: Sandbox, given: dict[str, str]) -> Any:
    """Tell who one is."""
    return {"username": USER, "domain": box.state["main"], "usertype": "user", "ns1": "ns1.old.example"}


@command("CMD_API_SHOW_DOMAINS")
def show_domains(box: Sandbox, given: dict[str, str]) -> Any:
    """List the domains, without pointers."""
    return [one["domain"] for one in _listed(box, "domains")]


@command("CMD_ADDITIONAL_DOMAINS", "domain", "action")
def additional_domains(box: Sandbox, given: dict[str, str]) -> Any:
    """Tell the settings of a domain."""
    return next(one for one in _listed(box, "domains") if one["domain"] == given["domain"])


@command("CMD_API_DNS_CONTROL", "domain")
def dns_control(box: Sandbox, given: dict[str, str]) -> Any:
    """Tell the records of a domain, names below it relative."""
    records = [dict(one) for one in _listed(box, "dns", given["domain"])]
    if not records:
        raise Refusal("That zone does not exist")
    for one in records:
        one.pop("of")
        one["combined"] = f"name={one['name']}&value={one['value']}"
    return {"records": records, "default_ttl": "14400", "ttl_value": "3600", "dnssec": "0"}


@command("CMD_API_POP", "domain", "action")
def pop(box: Sandbox, given: dict[str, str]) -> Any:
    """List mailboxes: by name, or with quotas in MB."""
    boxes = _listed(box, "pops", given["domain"])
    if given["action"] == "list":
        return [one["user"] for one in boxes]
    return {one["user"]: {key: one[key] for key in ("quota", "usage", "suspended")} for one in boxes}


@command("CMD_API_EMAIL_CATCH_ALL", "domain")
def catch_all(box: Sandbox, given: dict[str, str]) -> Any:
    """Tell where a domain's other mail goes."""
    return {"value": next((one["value"] for one in _listed(box, "catch_alls", given["domain"])), ":fail:")}


def _responders(name: str, stream: str) -> None:
    @command(name, "domain")
    def listing(box: Sandbox, given: dict[str, str]) -> Any:
        return {one["user"]: one.get("email", "") for one in _listed(box, stream, given["domain"])}

    @command(f"{name}_MODIFY", "domain", "user")
    def one_of(box: Sandbox, given: dict[str, str]) -> Any:
        for one in _listed(box, stream, given["domain"]):
            if one["user"] == given["user"]:
                return {key: value for key, value in one.items() if key != "of"}
        raise Refusal("That user does not exist")


_responders("CMD_API_EMAIL_AUTORESPONDER", "responders")
_responders("CMD_API_EMAIL_VACATION", "vacations")


@command("CMD_API_EMAIL_LIST", "domain")
def email_list(box: Sandbox, given: dict[str, str]) -> Any:
    """List mailing lists with the numbers of their members, or one's members."""
    lists = _listed(box, "lists", given["domain"])
    if given.get("action") != "view":
        return {one["name"]: f"{len(one['members'])}:{len(one['digest'])}" for one in lists}
    for one in lists:
        if one["name"] == given.get("name"):
            normal = {f"s{number}": member for number, member in enumerate(one["members"])}
            return normal | {f"d{number}": member for number, member in enumerate(one["digest"])}
    raise Refusal("That list does not exist")


@command("CMD_API_DATABASES")
def databases(box: Sandbox, given: dict[str, str]) -> Any:
    """List databases; the users of one, the account's own login first; the hosts they come from."""
    found = {one["name"]: one for one in _listed(box, "databases")}
    if "action" not in given:
        return list(found)
    one = found.get(given.get("db", ""))
    if one is None:
        raise Refusal("That database does not exist")
    return [USER, *one["users"]] if given["action"] == "users" else one["hosts"]


@command("CMD_API_CRON_JOBS")
def cron_jobs(box: Sandbox, given: dict[str, str]) -> Any:
    """Tell the crontab: jobs by numbers, settings by name."""
    return {one["key"]: one["line"] for one in _listed(box, "cron")}


@command("CMD_API_SSL", "domain")
def ssl(box: Sandbox, given: dict[str, str]) -> Any:
    """Tell a domain's certificate and key."""
    return next(
        ({key: value for key, value in one.items() if key != "of"} for one in _listed(box, "certs", given["domain"])),
        {"ssl_on": "no"},
    )


def _by_name(name: str, stream: str, key: str, value: str) -> None:
    def does(box: Sandbox, given: dict[str, str]) -> Any:
        return {one[key]: one[value] for one in _listed(box, stream, given["domain"])}

    command(name, "domain")(does)


_by_name("CMD_API_DOMAIN_POINTER", "pointers", "name", "type")
_by_name("CMD_API_REDIRECT", "redirects", "path", "to")
_by_name("CMD_API_EMAIL_FORWARDERS", "forwarders", "user", "to")
_by_name("CMD_API_FTP", "ftp", "login", "path")
command("CMD_API_SUBDOMAINS", "domain")(
    lambda box, given: [one["name"] for one in _listed(box, "subs", given["domain"])]
)
