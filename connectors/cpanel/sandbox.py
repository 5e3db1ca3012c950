"""cPanel's twin for reading an account by UAPI, from its official specification and from recordings of others.

Every function answers HTTP 200. ``box.store`` holds what functions list, as cPanel lists it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Clock, Native, Routes, Sandbox

USER = "acme"
EMAIL = USER
TOKEN = "SANDBOX0TOKEN"
SETTINGS = {"user": USER}
routes = Routes()
Function = Callable[[Sandbox, dict[str, str]], Any]
FUNCTIONS: dict[str, tuple[tuple[str, ...], Function]] = {}


class Refusal(Exception):
    """What a function says in place of doing something."""


def function(name: str, *needs: str) -> Callable[[Function], Function]:
    """Register a function of UAPI and the parameters it must be given."""

    def register(does: Function) -> Function:
        FUNCTIONS[name] = (needs, does)
        return does

    return register


def create(*, clock: Clock | None = None, plan: str = "own", limits: bool = True) -> Sandbox:
    """Return an account with its main domain, ``acme.example``."""
    box = Sandbox("cpanel", routes, clock=clock, host="cp1.example:2083", admit=_admitted)
    box.state |= {"main": "acme.example", "without": set()}
    return box


def seed(box: Sandbox, stream: str, bodies: Iterable[Native]) -> None:
    """Put records in, as cPanel's own functions list them."""
    for body in bodies:
        kept = box.store[f"listed {stream}"]  # cPanel's lists, which are none of anybody's streams
        kept[len(kept)] = dict(body)


def _admitted(box: Sandbox, request: Request) -> Response | None:
    if request.headers.get("Authorization") == f"cpanel {USER}:{TOKEN}":
        return None
    return Response("Access denied", 401, content_type="text/plain")


def _answer(data: Any, errors: list[str] | None = None) -> Response:
    body = {
        "data": data, "errors": errors or None, "messages": None, "metadata": {"transformed": 1},
        "status": 0 if errors else 1, "warnings": None,
    }  # fmt: skip
    return Response(json.dumps(body), 200, content_type="application/json")


@routes("GET", "/execute/<module>/<name>")
def execute(box: Sandbox, request: Request, module: str, name: str) -> Response:
    """Carry out a function."""
    known = FUNCTIONS.get(f"{module}/{name}")
    if known is None:
        return _answer(None, [f"The system could not find the function “{name}” in the module “{module}”."])
    if module in box.state["without"]:
        return _answer(None, [f"You do not have the feature “{module.lower()}”."])
    needs, does = known
    given = dict(request.args)
    for need in needs:
        if need not in given:
            return _answer(None, [f"Provide the “{need}” parameter for the “{name}” function."])
    try:
        return _answer(does(box, given))
    except Refusal as refusal:
        return _answer(None, [str(refusal)])


@routes("GET", "/json-api/cpanel")
def api2(box: Sandbox, request: Request) -> Response:
    """Carry out a function of API 2: the list of cron jobs, with one more row that tells how many there are."""
    module, name = request.args.get("cpanel_jsonapi_module"), request.args.get("cpanel_jsonapi_func")
    inner: Native = {"apiversion": 2, "module": module, "func": name, "event": {"result": 1}}
    if (module, name) == ("Cron", "listcron"):
        rows = _listed(box, "cron")
        inner["data"] = [*rows, {"count": len(rows) + 1}]
    else:
        inner |= {"error": f"Could not find function “{name}” in module “{module}”", "event": {"result": 0}}
    return Response(json.dumps({"cpanelresult": inner}), 200, content_type="application/json")


def _listed(box: Sandbox, stream: str) -> list[Native]:
    return list(box.store[f"listed {stream}"].values())


@function("Variables/get_user_information")
def user(box: Sandbox, given: dict[str, str]) -> Any:
    """Tell who one is."""
    return {"user": USER, "domain": box.state["main"], "home": f"/home/{USER}"}


def _domain(box: Sandbox, name: str, folder: str) -> Native:
    home = f"/home/{USER}"
    return {
        "domain": name, "servername": name, "serveralias": f"www.{name}", "homedir": home, "user": USER,
        "documentroot": f"{home}/{folder}", "ip": "192.0.2.10", "type": "addon_domain",
    }  # fmt: skip


@function("DomainInfo/list_domains")
def list_domains(box: Sandbox, given: dict[str, str]) -> Any:
    """List the names of domains."""
    told = domains_data(box, given)
    return {
        "main_domain": told["main_domain"]["domain"], "parked_domains": told["parked_domains"],
        **{key: [one["domain"] for one in told[key]] for key in ("addon_domains", "sub_domains")},
    }  # fmt: skip


@function("DomainInfo/domains_data")
def domains_data(box: Sandbox, given: dict[str, str]) -> Any:
    """Tell of the domains by their sort; parked ones by their name alone."""
    listed = _listed(box, "domains")

    def of(sort: str) -> list[Native]:
        return [
            _domain(box, one["domain"], str(one.get("folder") or one["domain"]))
            for one in listed
            if one["sort"] == sort
        ]

    return {
        "main_domain": _domain(box, box.state["main"], "public_html"), "addon_domains": of("addon"),
        "sub_domains": of("sub"), "parked_domains": [one["domain"] for one in listed if one["sort"] == "parked"],
    }  # fmt: skip


@function("DNS/has_local_authority", "domain")
def has_local_authority(box: Sandbox, given: dict[str, str]) -> Any:
    """Tell whether this server has the zone that a domain is in."""
    zones = {one["zone"] for one in _listed(box, "zone_lines")}
    zone = max((one for one in zones if f".{given['domain']}".endswith(f".{one}")), key=len, default=None)
    return [{"domain": given["domain"], "local_authority": int(zone is not None), "zone": zone, "nameservers": []}]


@function("DNS/parse_zone", "zone")
def parse_zone(box: Sandbox, given: dict[str, str]) -> Any:
    """Tell a zone line by line, names and data in base64."""
    lines = [one["line"] for one in _listed(box, "zone_lines") if one["zone"] == given["zone"]]
    if not lines:
        raise Refusal(f"You do not have access to the zone “{given['zone']}”.")
    return lines


@function("Email/list_pops_with_disk")
def list_pops_with_disk(box: Sandbox, given: dict[str, str]) -> Any:
    """List the mailboxes, the account's own among them."""
    own = {"email": USER, "login": "Main Account", "diskquota": "unlimited", "_diskquota": 0, "_diskused": "0"}
    return [own, *_listed(box, "pops")]


@function("Email/list_forwarders", "domain")
def list_forwarders(box: Sandbox, given: dict[str, str]) -> Any:
    """List a domain's forwarders, one row for each address they name."""
    return [one for one in _listed(box, "forwarders") if one["dest"].endswith("@" + given["domain"])]


@function("Email/list_auto_responders", "domain")
def list_auto_responders(box: Sandbox, given: dict[str, str]) -> Any:
    """List a domain's autoresponders by address and subject."""
    return [
        {"email": one["email"], "subject": one["subject"]}
        for one in _listed(box, "autoresponders")
        if one["email"].endswith("@" + given["domain"])
    ]


@function("Email/get_auto_responder", "email")
def get_auto_responder(box: Sandbox, given: dict[str, str]) -> Any:
    """Tell an autoresponder; where there is none, a template, with status 1."""
    for one in _listed(box, "autoresponders"):
        if one["email"] == given["email"]:
            return {key: value for key, value in one.items() if key != "email"}
    return {
        "body": "",
        "from": "",
        "subject": "",
        "interval": 8,
        "is_html": 0,
        "start": None,
        "stop": None,
        "charset": "utf-8",
    }


@function("Email/list_filters")
def list_filters(box: Sandbox, given: dict[str, str]) -> Any:
    """List filters: those of a mailbox, or of the whole account."""
    kept = [one for one in _listed(box, "filters") if one.get("account", "") == given.get("account", "")]
    return [{key: value for key, value in one.items() if key != "account"} for one in kept]


@function("Email/list_default_address", "user")
def list_default_address(box: Sandbox, given: dict[str, str]) -> Any:
    """List the default addresses."""
    return _listed(box, "default_addresses")


@function("Mysql/get_privileges_on_database", "database", "user")
def get_privileges_on_database(box: Sandbox, given: dict[str, str]) -> Any:
    """List what a user may do in a database."""
    wanted = (given["user"], given["database"])
    return next((one["rights"] for one in _listed(box, "rights") if (one["user"], one["database"]) == wanted), [])


@function("SSL/show_cert")
def show_cert(box: Sandbox, given: dict[str, str]) -> Any:
    """Show a certificate."""
    for one in _listed(box, "certs"):
        if one["id"] == given.get("id"):
            return {"cert": one["pem"], "text": "", "details": {}}
    raise Refusal("There is no certificate by that id.")


@function("SSL/list_certs")
def list_certs(box: Sandbox, given: dict[str, str]) -> Any:
    """List certificates, without their text."""
    return [{key: value for key, value in one.items() if key != "pem"} for one in _listed(box, "certs")]


def _plain(name: str, stream: str) -> None:
    function(name)(lambda box, given: _listed(box, stream))


for _name, _stream in {
    "Email/list_domain_forwarders": "domain_forwarders", "Email/list_lists": "lists", "Email/list_mxs": "mxs",
    "LangPHP/php_get_vhost_versions": "php", "Mime/list_redirects": "redirects", "Mysql/list_databases": "databases",
    "Mysql/list_users": "database_users", "Postgresql/list_databases": "postgresql", "Ftp/list_ftp_with_disk": "ftp",
}.items():  # fmt: skip
    _plain(_name, _stream)
