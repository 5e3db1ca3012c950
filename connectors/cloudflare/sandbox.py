"""Cloudflare's twin for zones and DNS records, from its official specification, its documentation and recordings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Clock, Native, Quota, Routes, Sandbox

TOKEN = "sandbox-token"
API = "/client/v4"
BATCH = 200
PARTS = ("CAA", "CERT", "DS", "HTTPS", "NAPTR", "SMIMEA", "SRV", "SSHFP", "SVCB", "TLSA", "URI")
PLAIN = ("A", "AAAA", "CNAME", "MX", "NS", "PTR", "TXT")
routes = Routes()


class Refusal(Exception):
    """What the API answers in place of doing something."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.response = answer(None, status, [{"code": code, "message": message}])


def answer(result: Any, status: int = 200, errors: Iterable[Native] = (), **more: Any) -> Response:
    """Return the envelope every answer has."""
    errors = list(errors)
    body = {"result": result, "success": not errors, "errors": errors, "messages": [], **more}
    return Response(json.dumps(body), status, content_type="application/json")


def create(*, clock: Clock | None = None, plan: str = "free", limits: bool = True) -> Sandbox:
    """Return an account without zones."""
    quotas = [Quota(240)] if limits else []
    return Sandbox(
        "cloudflare", routes, clock=clock, host="api.cloudflare.invalid", admit=_admitted, quotas=quotas,
        too_many=lambda box, wait: answer(None, 429, [{"code": 10000, "message": "too many"}]),
    )  # fmt: skip


def seed(box: Sandbox, stream: str, bodies: Iterable[Native]) -> None:
    """Put native records in, as they are."""
    for body in bodies:
        box.store[stream][body["id"]] = dict(body)


def _admitted(box: Sandbox, request: Request) -> Response | None:
    if request.headers.get("Authorization") == f"Bearer {TOKEN}":
        return None
    return answer(None, 401, [{"code": 10000, "message": "Authentication error"}])


@routes("GET", f"{API}/user/tokens/verify")
def verify(box: Sandbox, request: Request) -> Response:
    """Tell that the token works."""
    return answer({"id": "0" * 32, "status": "active"})


def _page(request: Request, found: list[Native]) -> Response:
    page, size = int(request.args.get("page", 1)), int(request.args.get("per_page", 20))
    some = found[(page - 1) * size : page * size]
    info = {"page": page, "per_page": size, "count": len(some), "total_count": len(found)}
    return answer(some, result_info={**info, "total_pages": max(1, -(-len(found) // size))})


@routes("GET", f"{API}/zones")
def zones(box: Sandbox, request: Request) -> Response:
    """List the zones."""
    return _page(request, list(box.store["zones"].values()))


@routes("POST", f"{API}/zones")
def add_zone(box: Sandbox, request: Request) -> Response:
    """Add a zone."""
    name = str(request.get_json()["name"]).lower()
    if any(zone["name"] == name for zone in box.store["zones"].values()):
        return Refusal(400, 1061, f"{name} already exists").response
    zone = {"id": f"{box.next_id():032x}", "name": name, "status": "pending", "type": "full"}
    box.store["zones"][zone["id"]] = zone
    return answer(zone)


@routes("DELETE", f"{API}/zones/<id>")
def remove_zone(box: Sandbox, request: Request, id: str) -> Response:
    """Remove a zone with its records."""
    if box.store["zones"].pop(id, None) is None:
        return Refusal(404, 1001, "Invalid zone identifier").response
    for key in [key for key, record in box.store["record_sets"].items() if record["zone_id"] == id]:
        del box.store["record_sets"][key]
    return answer({"id": id})


@routes("GET", f"{API}/zones/<id>/dns_records")
def records(box: Sandbox, request: Request, id: str) -> Response:
    """List a zone's records, one by one."""
    if id not in box.store["zones"]:
        return Refusal(404, 7003, "no such zone").response
    shown = [
        {k: v for k, v in one.items() if k != "zone_id"}
        for one in box.store["record_sets"].values()
        if one["zone_id"] == id
    ]
    return _page(request, shown)


@routes("POST", f"{API}/zones/<id>/dns_records/batch")
def batch(box: Sandbox, request: Request, id: str) -> Response:
    """Carry out deletes, then posts, all or none."""
    if id not in box.store["zones"]:
        return Refusal(404, 7003, "no such zone").response
    body = request.get_json()
    if len(body.get("deletes") or ()) + len(body.get("posts") or ()) > BATCH:
        return Refusal(400, 81026, "too many records in a batch").response
    kept = dict(box.store["record_sets"])
    try:
        for one in body.get("deletes") or ():
            if kept.pop(one["id"], {}).get("zone_id") != id:
                raise Refusal(404, 81044, "Record does not exist.")
        made = [_made(box, id, record, kept) for record in body.get("posts") or ()]
    except Refusal as refusal:
        return refusal.response
    box.store["record_sets"] = kept
    return answer({"deletes": body.get("deletes") or [], "posts": made})


def _made(box: Sandbox, zone_id: str, record: Native, kept: dict[Any, Native]) -> Native:
    type, ttl = record.get("type"), record.get("ttl", 1)
    if type not in (*PARTS, *PLAIN):
        raise Refusal(400, 9004, f"type {type} is not taken")
    if type in PARTS and not isinstance(record.get("data"), dict):
        raise Refusal(400, 9101, "data is required")
    if ttl != 1 and not 60 <= ttl <= 86400:
        raise Refusal(400, 9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.")
    name, zone = str(record["name"]).lower(), box.store["zones"][zone_id]["name"]
    if name != zone and not name.endswith(f".{zone}"):
        name = f"{name}.{zone}"
    content = str(record.get("content") or _formed(type, record.get("data") or {}))
    same = [one for one in kept.values() if one["zone_id"] == zone_id and one["name"] == name]
    if any(one["type"] == type and one["content"] == content for one in same):
        raise Refusal(400, 81058, "An identical record already exists.")
    if any((one["type"] == "CNAME") != (type == "CNAME") for one in same):
        raise Refusal(400, 81053, "An A, AAAA, or CNAME record with that host already exists.")
    whole = {
        "id": f"{box.next_id():032x}", "zone_id": zone_id, "name": name, "type": type, "content": content, "ttl": ttl,
        "proxied": bool(record.get("proxied")), "comment": record.get("comment"), "tags": [], "settings": {},
        "meta": {},
    }  # fmt: skip
    if type in ("MX", "SRV", "URI"):
        whole["priority"] = record.get("priority", (record.get("data") or {}).get("priority"))
    if type in PARTS:
        whole["data"] = record["data"]
    kept[whole["id"]] = whole
    return {k: v for k, v in whole.items() if k != "zone_id"}


def _formed(type: str, data: Native) -> str:
    """Return the content that the API makes of the parts."""
    if type == "CAA":
        return f'{data["flags"]} {data["tag"]} "{data["value"]}"'
    if type == "SRV":
        return f"{data['weight']}\t{data['port']}\t{data['target']}"
    if type == "URI":
        return f'{data["weight"]} "{data["content"]}"'
    return re.sub(r"\s+", " ", " ".join(str(value) for value in data.values()))
