"""OpenSRS's twin: the XML API for domains and zones, the mail API, from their guides and clients that others wrote.

It keeps what it is told, checks every signature, and refuses what the guides say is refused. The mail API, at OpenSRS a
server of its own, answers under ``/api`` of the same address.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Clock, Native, Routes, Sandbox

TOKEN = "sandbox0key"  # the reseller's key, and the mail administrator's password
USER = "reseller"
EMAIL = USER
MAIL_USER = "admin@acme.example"
SETTINGS = {"mail_user": MAIL_USER}
PAGE = 40
MOST_ALIASES, MOST_BODY = 2000, 4000
TYPES: dict[str, tuple[str, ...]] = {
    "A": ("ip_address",), "AAAA": ("ipv6_address",), "CNAME": ("hostname",), "MX": ("priority", "hostname"),
    "SRV": ("priority", "weight", "port", "hostname"), "TXT": ("text",),
}  # fmt: skip
routes = Routes()
Action = Callable[[Sandbox, Native], Native]
ACTIONS: dict[str, Action] = {}
METHODS: dict[str, Action] = {}


class Refusal(Exception):
    """What OpenSRS says in place of doing something."""

    def __init__(self, said: str, code: int = 400) -> None:
        super().__init__(said)
        self.code = code


def create(*, clock: Clock | None = None, plan: str = "own", limits: bool = True) -> Sandbox:
    """Return an account without domains and mail."""
    box = Sandbox("opensrs", routes, clock=clock, host="opensrs.invalid")
    box.state["mail_domains"] = set()
    return box


def seed(box: Sandbox, stream: str, bodies: Iterable[Native]) -> None:
    """Put records in: ``domains`` and ``mailboxes`` as OpenSRS tells them, ``mail_domains`` by name."""
    for body in bodies:
        if stream == "mail_domains":
            box.state["mail_domains"].add(body["domain"])
        elif stream == "domains":
            lists: Native = {"nameserver_list": [], "contact_set": {}, "lock_state": "0", "auto_renew": "0"}
            box.store["domains"][body["name"]] = {"expiredate": "2027-11-01 00:00:00", **lists, **body}
        else:
            box.store[stream][body.get("id") or body["user"]] = dict(body)


# ---- the XML API -----------------------------------------------------------------------------------------------------


def _read(element: Any) -> Any:
    inner = next(iter(element), None)
    if inner is None:
        return element.text or ""
    if inner.tag == "dt_assoc":
        return {item.get("key"): _read(item) for item in inner}
    return [_read(item) for item in sorted(inner, key=lambda item: int(item.get("key")))]


def _write(value: Any) -> str:
    if isinstance(value, dict):
        return "<dt_assoc>" + "".join(f'<item key="{k}">{_write(v)}</item>' for k, v in value.items()) + "</dt_assoc>"
    if isinstance(value, list):
        # In no order, as hashes of Perl come: the keys tell it.
        numbered = sorted(enumerate(value), key=lambda pair: str(pair[0]))
        return "<dt_array>" + "".join(f'<item key="{k}">{_write(v)}</item>' for k, v in numbered) + "</dt_array>"
    return escape(str(value))


def _answer(block: Native) -> Response:
    text = (
        "<?xml version='1.0' encoding='UTF-8' standalone='no' ?><!DOCTYPE OPS_envelope SYSTEM 'ops.dtd'>"
        f"<OPS_envelope><header><version>0.9</version></header><body><data_block>{_write(block)}"
        "</data_block></body></OPS_envelope>"
    )
    return Response(text, 200, content_type="text/xml")


@routes("POST", "/")
def xml(box: Sandbox, request: Request) -> Response:
    """Carry out an action of the XML API; every answer is HTTP 200."""
    body = request.get_data()
    inner = hashlib.md5(body + TOKEN.encode()).hexdigest()
    wanted = hashlib.md5((inner + TOKEN).encode()).hexdigest()
    reply: Native = {"protocol": "XCP", "action": "REPLY", "object": "DOMAIN"}
    if request.headers.get("X-Username") != USER or request.headers.get("X-Signature") != wanted:
        return _answer({**reply, "is_success": "0", "response_code": "401", "response_text": "Authentication Error."})
    block = _read(next(iter(ElementTree.fromstring(body).iter("data_block"))))
    try:
        does = ACTIONS.get(str(block.get("action")).upper())
        if does is None or block.get("protocol") != "XCP":
            raise Refusal(f"Unrecognized command {block.get('action')}")
        attributes = block.get("attributes")
        found = does(box, attributes if isinstance(attributes, dict) else {})
    except Refusal as refusal:
        said = {"is_success": "0", "response_code": str(refusal.code), "response_text": str(refusal)}
        return _answer({**reply, **said})
    said = {"is_success": "1", "response_code": "200", "response_text": "Command Successful"}
    return _answer({**reply, **said, "attributes": found})


def action(name: str) -> Callable[[Action], Action]:
    """Register an action."""

    def register(does: Action) -> Action:
        ACTIONS[name] = does
        return does

    return register


def _held(box: Sandbox, given: Native) -> Native:
    found = box.store["domains"].get(str(given.get("domain")))
    if found is None:
        raise Refusal("Domain name not found in this account", 404)
    return found


@action("GET_DOMAINS_BY_EXPIREDATE")
def domains(box: Sandbox, given: Native) -> Native:
    """List domains by the day they expire; page 0 is the first, and page 1 comes where none is named."""
    if not (given.get("exp_from") and given.get("exp_to")):
        raise Refusal("exp_from and exp_to are required")
    days = [(one["expiredate"][:10], name) for name, one in box.store["domains"].items()]
    found = sorted(pair for pair in days if given["exp_from"] <= pair[0] <= given["exp_to"])
    page, limit = int(given.get("page", 1)), int(given.get("limit") or PAGE)
    some = found[page * limit : (page + 1) * limit]
    told = [{"name": name, "expiredate": day, "f_auto_renew": "N", "f_let_expire": "N"} for day, name in some]
    left = len(found) > (page + 1) * limit
    return {"exp_domains": told, "page": page, "remainder": int(left), "total": len(found)}


@action("GET")
def domain(box: Sandbox, given: Native) -> Native:
    """Tell of one domain: everything, or whether it is locked."""
    found = _held(box, given)
    if given.get("type") == "status":
        return {"lock_state": found["lock_state"], "domain_supports": "1", "can_modify": "1"}
    if given.get("type") != "all_info":
        raise Refusal("Invalid type")
    return {key: found[key] for key in ("expiredate", "auto_renew", "nameserver_list", "contact_set")}


@action("ADVANCED_UPDATE_NAMESERVERS")
def servers(box: Sandbox, given: Native) -> Native:
    """Set a domain's name servers."""
    found = _held(box, given)
    if given.get("op_type") != "assign" or not isinstance(given.get("assign_ns"), list):
        raise Refusal("assign_ns is required with op_type assign")
    listed = [{"name": name, "sortorder": number} for number, name in enumerate(given["assign_ns"], start=1)]
    found["nameserver_list"] = listed
    return {}


@action("MODIFY")
def modify(box: Sandbox, given: Native) -> Native:
    """Change a domain's lock, or what happens when it expires."""
    found = _held(box, given)
    if given.get("data") == "status" and given.get("lock_state") in ("0", "1"):
        found["lock_state"] = given["lock_state"]
    elif given.get("data") == "expire_action" and given.get("auto_renew") in ("0", "1"):
        found["auto_renew"] = given["auto_renew"]
    else:
        raise Refusal(f"Invalid data {given.get('data')}")
    return {}


def _zone(box: Sandbox, given: Native) -> str:
    _held(box, given)
    name = f"{given['domain']}."
    if name not in box.store["zones"]:
        raise Refusal("DNS zone not found for this domain", 404)
    return name


@action("CREATE_DNS_ZONE")
def create_zone(box: Sandbox, given: Native) -> Native:
    """Switch DNS on for a domain."""
    _held(box, given)
    name = f"{given['domain']}."
    if name in box.store["zones"]:
        raise Refusal("DNS zone already exists", 485)
    box.store["zones"][name] = {"name": name}
    _replace(box, name, given.get("records") or {})
    return {"nameservers_ok": "0"}


@action("GET_DNS_ZONE")
def get_zone(box: Sandbox, given: Native) -> Native:
    """Tell a zone's records by type."""
    name = _zone(box, given)
    records: dict[str, list[Native]] = {}
    for id, held in box.store["record_sets"].items():
        if id.startswith(f"{name} "):
            records.setdefault(held["type"], []).extend(held["records"])
    return {"nameservers_ok": "0", "records": records}


@action("SET_DNS_ZONE")
def set_zone(box: Sandbox, given: Native) -> Native:
    """Replace a zone's records, all of them."""
    _replace(box, _zone(box, given), given.get("records") or {})
    return {"nameservers_ok": "0"}


@action("DELETE_DNS_ZONE")
def delete_zone(box: Sandbox, given: Native) -> Native:
    """Switch DNS off."""
    name = _zone(box, given)
    _replace(box, name, {})
    del box.store["zones"][name]
    return {}


def _replace(box: Sandbox, name: str, records: Native) -> None:
    made: dict[str, Native] = {}
    for type, listed in records.items():
        if type not in TYPES:
            raise Refusal(f"Invalid record type {type}")
        for record in listed:
            if any(record.get(key) in (None, "") for key in TYPES[type]) or set(record) - {*TYPES[type], "subdomain"}:
                raise Refusal(f"Invalid {type} record")
            label = record.get("subdomain") or ""
            whole = f"{label}.{name}" if label else name
            made.setdefault(f"{name} {type} {whole}", {"type": type, "records": []})["records"].append(record)
    owners = [id.split(" ")[2] for id in made if id.split(" ")[1] != "CNAME"]
    if any(id.split(" ")[1] == "CNAME" and id.split(" ")[2] in owners for id in made):
        raise Refusal("A CNAME record cannot share its name with other records")
    held = box.store["record_sets"]
    for id in [id for id in held if id.startswith(f"{name} ")]:
        del held[id]
    held.update(made)


# ---- the mail API ----------------------------------------------------------------------------------------------------


@routes("POST", "/api/<method>")
def mail(box: Sandbox, request: Request, method: str) -> Response:
    """Carry out a method of the mail API; every answer is HTTP 200."""
    told = request.get_json(silent=True)
    given: Native = told if isinstance(told, dict) else {}
    said = given.get("credentials")
    if not isinstance(said, dict) or (said.get("user"), said.get("password")) != (MAIL_USER, TOKEN):
        return _told({"success": False, "error": "Invalid credentials supplied in request"})
    try:
        does = METHODS.get(method)
        if does is None:
            raise Refusal(f"Unsupported method {method}")
        return _told({"success": True, **does(box, given)})
    except Refusal as refusal:
        return _told({"success": False, "error": str(refusal)})


def _told(body: Native) -> Response:
    return Response(json.dumps(body), 200, content_type="application/json")


def method(name: str) -> Callable[[Action], Action]:
    """Register a method."""

    def register(does: Action) -> Action:
        METHODS[name] = does
        return does

    return register


def _some(given: Native, found: list[Native], key: str) -> Native:
    asked = given.get("range") or {}
    first = int(asked.get("first", 0))
    return {key: found[first : first + int(asked.get("limit", 100))], "count": len(found)}


def _user(box: Sandbox, address: str) -> Native:
    found = box.store["mailboxes"].get(address) or box.store["aliases"].get(address)
    if found is None:
        raise Refusal(f"User {address} not found")
    return found


@method("search_domains")
def search_domains(box: Sandbox, given: Native) -> Native:
    """List mail domains."""
    return _some(given, [{"domain": name} for name in sorted(box.state["mail_domains"])], "domains")


@method("search_users")
def search_users(box: Sandbox, given: Native) -> Native:
    """List a domain's users."""
    domain = str((given.get("criteria") or {}).get("domain"))
    held = {**box.store["mailboxes"], **box.store["aliases"]}
    found = [{"user": address, "type": held[address]["type"]} for address in sorted(held)]
    return _some(given, [one for one in found if one["user"].endswith(f"@{domain}")], "users")


@method("get_user")
def get_user(box: Sandbox, given: Native) -> Native:
    """Tell of one user; never its password."""
    found = _user(box, str(given.get("user")))
    attributes = {key: value for key, value in found["attributes"].items() if key not in ("password", "quota")}
    quota = {"bytes_max": found["attributes"].get("quota", 0), "bytes_used": 0}
    return {"type": found["type"], "attributes": attributes, "metadata": {"quota": quota}}


@method("change_user")
def change_user(box: Sandbox, given: Native) -> Native:
    """Make a user, or change one."""
    address, attributes = str(given.get("user")), dict(given.get("attributes") or {})
    held = {**box.store["mailboxes"], **box.store["aliases"]}
    there = held.get(address)
    if address.rpartition("@")[2] not in box.state["mail_domains"]:
        raise Refusal(f"Domain {address.rpartition('@')[2]} not found")
    if there and given.get("create_only"):
        raise Refusal(f"User {address} already exists")
    taken = {name: owner for owner, one in held.items() for name in one["attributes"].get("aliases") or ()}
    names = list(attributes.get("aliases") or ())
    if any(name in held or taken.get(name, address) != address for name in [*names, *([] if there else [address])]):
        raise Refusal("An alias is in use by another user")
    if len(names) > MOST_ALIASES or len(set(names)) < len(names):
        raise Refusal("Invalid aliases")
    if len(str(attributes.get("autoresponder") or "")) > MOST_BODY:
        raise Refusal("autoresponder is too long")
    if there is None:
        type = attributes.pop("type", "mailbox")
        if type == "mailbox" and not attributes.get("password"):
            raise Refusal(f"User {address} does not exist, and password is required to make it")
        there = {"user": address, "type": type, "attributes": {}}
        box.store["aliases" if type == "forward" else "mailboxes"][address] = there
    there["attributes"].update(attributes)
    return {}


@method("delete_user")
def delete_user(box: Sandbox, given: Native) -> Native:
    """Remove a user with its rule sets."""
    address = str(given.get("user"))
    _user(box, address)
    for stream in ("mailboxes", "aliases"):
        box.store[stream].pop(address, None)
    for id in [id for id in box.store["scripts"] if id.startswith(f"{address}/")]:
        del box.store["scripts"][id]
    return {}


@method("get_sieve")
def get_sieve(box: Sandbox, given: Native) -> Native:
    """Tell a user's rule sets, and which one runs."""
    user = _user(box, str(given.get("user")))
    mine = {
        id.partition("/")[2]: one["data"] for id, one in box.store["scripts"].items() if one["user"] == user["user"]
    }
    return {"rulesets": mine, "active_rule": user.get("active_rule", "managesieve")}


@method("set_sieve")
def set_sieve(box: Sandbox, given: Native) -> Native:
    """Set a rule set, and which one runs."""
    user, name = _user(box, str(given.get("user"))), str(given.get("ruleset") or "")
    if not name:
        raise Refusal("ruleset is required")
    if given.get("data") is not None:
        box.store["scripts"][f"{user['user']}/{name}"] = {"user": user["user"], "data": given["data"]}
    if given.get("active_rule"):
        user["active_rule"] = given["active_rule"]
    return {}
