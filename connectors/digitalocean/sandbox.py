"""DigitalOcean's twin for domains and their records, from its official specification and recorded answers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Clock, Native, Quota, Routes, Sandbox

TOKEN = "sandbox-token"
API = "/v2/domains"
TYPES = ("A", "AAAA", "CAA", "CNAME", "MX", "NS", "SOA", "SRV", "TXT")
LEAST_TTL = 30
SERVERS = ("ns1.digitalocean.com", "ns2.digitalocean.com", "ns3.digitalocean.com")
EMPTY = {"priority": None, "port": None, "weight": None, "flags": None, "tag": None}
routes = Routes()


def create(*, clock: Clock | None = None, plan: str = "every", limits: bool = True) -> Sandbox:
    """Return an account without domains."""
    return Sandbox(
        "digitalocean", routes, clock=clock, host="api.digitalocean.invalid", admit=_admitted,
        quotas=[Quota(83)] if limits else [],
        too_many=lambda box, wait: _refused(429, "too_many_requests", "API Rate limit exceeded."),
    )  # fmt: skip


def seed(box: Sandbox, stream: str, bodies: Iterable[Native]) -> None:
    """Put native records in, as they are."""
    for body in bodies:
        box.store[stream][body.get("id") or body["name"]] = dict(body)


def _answer(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body) if body is not None else "", status, content_type="application/json")


def _refused(status: int, id: str, message: str) -> Response:
    return _answer({"id": id, "message": message}, status)


def _admitted(box: Sandbox, request: Request) -> Response | None:
    if request.headers.get("Authorization") == f"Bearer {TOKEN}":
        return None
    return _refused(401, "unauthorized", "Unable to authenticate you")


def _page(request: Request, key: str, found: list[Native]) -> Response:
    page, size = int(request.args.get("page", 1)), min(200, int(request.args.get("per_page", 20)))
    links: Native = {}
    if page * size < len(found):
        links = {"pages": {"next": f"https://api.digitalocean.com{request.path}?page={page + 1}"}}
    some = found[(page - 1) * size : page * size]
    return _answer({key: some, "links": links, "meta": {"total": len(found)}})


@routes("GET", API)
def domains(box: Sandbox, request: Request) -> Response:
    """List the domains."""
    return _page(request, "domains", list(box.store["zones"].values()))


@routes("POST", API)
def add_domain(box: Sandbox, request: Request) -> Response:
    """Add a domain; its SOA and NS come by themselves."""
    name = str(request.get_json()["name"]).lower()
    if name in box.store["zones"]:
        return _refused(422, "unprocessable_entity", "domain '" + name + "': name already exists")
    box.store["zones"][name] = {"name": name, "ttl": 1800, "zone_file": ""}
    own = [{"type": "SOA", "name": "@", "data": "1800", "ttl": 1800}]
    own += [{"type": "NS", "name": "@", "data": server, "ttl": 1800} for server in SERVERS]
    for record in own:
        _put(box, name, record)
    return _answer({"domain": box.store["zones"][name]}, 201)


def _put(box: Sandbox, domain: str, record: Native) -> Native:
    id = box.next_id()
    box.store["record_sets"][id] = {**EMPTY, **record, "id": id, "_domain": domain}
    return box.store["record_sets"][id]


def _shown(record: Native) -> Native:
    return {key: value for key, value in record.items() if key != "_domain"}


@routes("DELETE", f"{API}/<domain>")
def remove_domain(box: Sandbox, request: Request, domain: str) -> Response:
    """Remove a domain with its records."""
    if box.store["zones"].pop(domain, None) is None:
        return _refused(404, "not_found", "The resource you were accessing could not be found.")
    for id in [id for id, record in box.store["record_sets"].items() if record["_domain"] == domain]:
        del box.store["record_sets"][id]
    return _answer(None, 204)


@routes("GET", f"{API}/<domain>/records")
def records(box: Sandbox, request: Request, domain: str) -> Response:
    """List a domain's records, one by one."""
    if domain not in box.store["zones"]:
        return _refused(404, "not_found", "The resource you were accessing could not be found.")
    found = [_shown(record) for record in box.store["record_sets"].values() if record["_domain"] == domain]
    return _page(request, "domain_records", found)


@routes("POST", f"{API}/<domain>/records")
def add_record(box: Sandbox, request: Request, domain: str) -> Response:
    """Add one record."""
    if domain not in box.store["zones"]:
        return _refused(404, "not_found", "The resource you were accessing could not be found.")
    body = request.get_json()
    wrong = _wrong(body)
    same = [r for r in box.store["record_sets"].values() if r["_domain"] == domain and r["name"] == body.get("name")]
    if not wrong and any((r["type"] == "CNAME") != (body["type"] == "CNAME") for r in same):
        wrong = "CNAME records cannot share a name with other records"
    if not wrong and any(_told(r) == _told({**EMPTY, **_undotted(body)}) for r in same):
        wrong = "Record already exists"
    if wrong:
        return _refused(422, "unprocessable_entity", wrong)
    return _answer({"domain_record": _shown(_put(box, domain, _undotted(body)))}, 201)


def _told(record: Native) -> list[Any]:
    return [record.get(key) for key in ("type", "name", "data", *EMPTY)]


def _undotted(body: Native) -> Native:
    """Return a record as it is shown: names without the dot at their end."""
    if body["type"] in ("CNAME", "MX", "NS", "SRV"):
        return {**body, "data": str(body["data"]).rstrip(".")}
    return dict(body)


def _wrong(body: Native) -> str:
    if body.get("type") not in TYPES:
        return "type is not one of the supported record types"
    if not body.get("name") or body.get("data") is None:
        return "name and data are required"
    if body["type"] in ("CNAME", "MX", "NS", "SRV") and not str(body["data"]).endswith("."):
        return "Data needs to end with a dot (.)"
    if int(body.get("ttl") or 1800) < LEAST_TTL:
        return "ttl must be at least 30"
    needed = {"MX": ["priority"], "SRV": ["priority", "port", "weight"], "CAA": ["flags", "tag"]}
    lacks = [key for key in needed.get(body["type"], []) if body.get(key) is None]
    return f"{', '.join(lacks)} can't be blank" if lacks else ""


@routes("PUT", f"{API}/<domain>/records/<int:id>")
def change_record(box: Sandbox, request: Request, domain: str, id: int) -> Response:
    """Change one record."""
    record = box.store["record_sets"].get(id)
    if record is None or record["_domain"] != domain:
        return _refused(404, "not_found", "The resource you were accessing could not be found.")
    body = request.get_json()
    if wrong := _wrong({**record, **body}):
        return _refused(422, "unprocessable_entity", wrong)
    record.update(_undotted(body))
    return _answer({"domain_record": _shown(record)})


@routes("DELETE", f"{API}/<domain>/records/<int:id>")
def remove_record(box: Sandbox, request: Request, domain: str, id: int) -> Response:
    """Remove one record."""
    record = box.store["record_sets"].get(id)
    if record is None or record["_domain"] != domain:
        return _refused(404, "not_found", "The resource you were accessing could not be found.")
    del box.store["record_sets"][id]
    return _answer(None, 204)
