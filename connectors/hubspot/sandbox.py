"""HubSpot's sandbox: a local twin of what its CRM, files and automation APIs let one read, written from the official
specifications (see facts.yaml).

``create`` builds one, ``seed`` fills it: records of the CRM say in ``_with`` what goes with them ({kind: [ids]}); files
are {id, name, extension, body}.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from typing import Any

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Clock, Native, Quota, Routes, Sandbox

__all__ = ["TOKEN", "create", "seed"]

TOKEN = "sandbox-hubspot-token"
STREAMS = (
    "ticket_properties",
    "contact_properties",
    "company_properties",
    "owners",
    "pipelines",
    "companies",
    "contacts",
    "tickets",
    "emails",
    "notes",
    "flows",
    "files",
)
PROPERTIES = {"tickets": "ticket_properties", "contacts": "contact_properties", "companies": "company_properties"}
SHOWN = {  # properties that come without being asked for
    "tickets": ("subject", "content", "hs_pipeline", "hs_pipeline_stage", "hs_ticket_priority", "hs_ticket_category"),
    "contacts": ("email", "firstname", "lastname"),
    "companies": ("name", "domain"),
    "emails": (),
    "notes": (),
}
PER_MINUTE = {"free": 600, "professional": 900, "enterprise": 900, "oauth": 660}
MOST_ASSOCIATED = 1000  # of one kind, in one answer
BEGAN = "2026-01-01T00:00:00.000Z"
routes = Routes()


def answer(body: Any, status: int = 200) -> Response:
    """Return JSON."""
    return Response(json.dumps(body), status, content_type="application/json;charset=utf-8")


def _refused(status: int, category: str, message: str) -> Response:
    return answer({"status": "error", "message": message, "correlationId": "0-0-0-0", "category": category}, status)


def create(
    *, clock: Clock | None = None, plan: str = "free", host: str = "hubspot.sandbox", limits: bool = True
) -> Sandbox:
    """Return a new account with one owner and the pipeline that every account has."""
    quotas = [Quota(PER_MINUTE[plan])] if limits else []
    box = Sandbox("hubspot", routes, clock=clock, host=host, admit=_admit, too_many=_too_many, quotas=quotas)
    seed(box, "owners", [{"id": "1", "email": "admin@hubspot.sandbox", "firstName": "Sandbox", "lastName": "Admin"}])
    labels = (("New", "OPEN"), ("Waiting on contact", "OPEN"), ("Waiting on us", "OPEN"), ("Closed", "CLOSED"))
    dated = {"createdAt": BEGAN, "updatedAt": BEGAN, "archived": False}
    stages = [
        {"id": str(at), "label": label, "displayOrder": at, "metadata": {"ticketState": state}, **dated}
        for at, (label, state) in enumerate(labels, 1)
    ]
    seed(box, "pipelines", [{"id": "0", "label": "Support Pipeline", "displayOrder": 0, "stages": stages, **dated}])
    return box


def _admit(box: Sandbox, request: Request) -> Response | None:
    if request.path.startswith("/signed/"):
        return None
    if request.headers.get("Authorization") != f"Bearer {TOKEN}":
        return _refused(401, "INVALID_AUTHENTICATION", "Authentication credentials not found.")
    return None


def _too_many(box: Sandbox, wait: float) -> Response:
    return _refused(429, "RATE_LIMITS", "You have reached your ten_secondly_rolling limit.")


def seed(box: Sandbox, stream: str, bodies: Iterable[Native]) -> None:
    """Store records as the API shows them."""
    if stream not in STREAMS:
        raise ValueError(f"hubspot has no stream {stream!r}; it has {', '.join(STREAMS)}")
    for body in map(copy.deepcopy, bodies):
        if stream == "owners":
            body = {"type": "PERSON", "userId": 1, "createdAt": BEGAN, "updatedAt": BEGAN, "archived": False} | body
        id = str(body["name"] if stream.endswith("_properties") else body["id"])
        box.store[stream][f"note:{id}" if stream == "notes" else id] = body  # a note and an e-mail may share a number


def _shown(native: Native) -> Native:
    return {key: value for key, value in native.items() if not key.startswith("_")}


def _page(request: Request, records: list[Native], most: int = 100) -> Response:
    size, at = int(request.args.get("limit", 10)), int(request.args.get("after") or 0)
    if not 1 <= size <= most:
        return _refused(400, "VALIDATION_ERROR", f"limit must be between 1 and {most}")
    body: Native = {"results": records[at : at + size]}
    if at + size < len(records):
        body["paging"] = {"next": {"after": str(at + size), "link": request.url}}
    return answer(body)


@routes("GET", "/account-info/v3/details")
def details(box: Sandbox, request: Request) -> Response:
    """Show the account."""
    about = {"portalId": 1234567, "accountType": "STANDARD", "timeZone": "UTC", "companyCurrency": "EUR"}
    return answer({**about, "additionalCurrencies": [], "utcOffset": "+00:00", "utcOffsetMilliseconds": 0})


@routes("GET", "/crm/v3/properties/<any(tickets, contacts, companies):kind>")
def properties(box: Sandbox, request: Request, kind: str) -> Response:
    """List the properties of a kind."""
    return answer({"results": [_shown(one) for one in box.store[PROPERTIES[kind]].values()]})


@routes("GET", "/crm/v3/pipelines/tickets")
def pipelines(box: Sandbox, request: Request) -> Response:
    """List the pipelines of tickets."""
    return answer({"results": [_shown(one) for one in box.store["pipelines"].values()]})


@routes("GET", "/crm/v3/owners")
def owners(box: Sandbox, request: Request) -> Response:
    """List owners: those who are there, or those who are no longer."""
    gone = request.args.get("archived") == "true"
    return _page(request, [_shown(one) for one in box.store["owners"].values() if one["archived"] is gone], 500)


@routes("GET", "/crm/v3/objects/<any(tickets, contacts, companies, emails, notes):kind>")
def objects(box: Sandbox, request: Request, kind: str) -> Response:
    """List records of a kind, in the order of their numbers."""
    held = sorted(box.store[kind].values(), key=lambda one: int(one["id"]))
    return _page(request, [_object(request, kind, one) for one in held])


@routes("GET", "/crm/v3/objects/<any(tickets, contacts, companies, emails, notes):kind>/<id>")
def one_object(box: Sandbox, request: Request, kind: str, id: str) -> Response:
    """Show a record."""
    found = box.store[kind].get(f"note:{id}" if kind == "notes" else id)
    return answer(_object(request, kind, found)) if found else _refused(404, "OBJECT_NOT_FOUND", "resource not found")


def _object(request: Request, kind: str, native: Native) -> Native:
    """Return a record with the properties and associations that are asked for, and nothing more."""
    wanted = [name for part in request.args.getlist("properties") for name in part.split(",") if name]
    held = native["properties"]
    always = {
        "createdate": native["createdAt"],
        "hs_lastmodifieddate": native["updatedAt"],
        "hs_object_id": native["id"],
    }
    names = wanted or SHOWN[kind]
    shown = {**_shown(native), "properties": {**{name: held.get(name) for name in names}, **always}}
    beside = [name for part in request.args.getlist("associations") for name in part.split(",") if name]
    found = {
        name: {
            "results": [{"id": id, "type": f"{kind[:-1]}_to_{name}"} for id in native["_with"][name][:MOST_ASSOCIATED]]
        }
        for name in beside
        if native.get("_with", {}).get(name)
    }
    return {**shown, "associations": found} if found else shown


@routes("GET", "/files/v3/files/<id>")
def file(box: Sandbox, request: Request, id: str) -> Response:
    """Tell what is known of a file."""
    held = box.store["files"].get(id)
    if held is None:
        return _refused(404, "OBJECT_NOT_FOUND", "file not found")
    about = {"id": id, "name": held["name"], "extension": held["extension"], "size": len(held["body"])}
    dated = {"createdAt": BEGAN, "updatedAt": BEGAN, "archived": False}
    return answer({**about, "type": "DOCUMENT", "access": "PRIVATE", "path": f"/{id}", **dated})


@routes("GET", "/files/v3/files/<id>/signed-url")
def signed_url(box: Sandbox, request: Request, id: str) -> Response:
    """Sign an address for a file."""
    held = box.store["files"].get(id)
    if held is None:
        return _refused(404, "OBJECT_NOT_FOUND", "file not found")
    about = {"name": held["name"], "extension": held["extension"], "type": "DOCUMENT", "size": len(held["body"])}
    return answer({**about, "url": f"{box.base_url}/signed/{id}", "expiresAt": BEGAN})


@routes("GET", "/signed/<id>")
def signed(box: Sandbox, request: Request, id: str) -> Response:
    """Hand over the bytes of a file, to whom the address was told."""
    return Response(box.store["files"][id]["body"], content_type="application/octet-stream")


@routes("GET", "/automation/v4/flows")
def flows(box: Sandbox, request: Request) -> Response:
    """List workflows, without what they ask and do."""
    names = ("id", "isEnabled", "flowType", "objectTypeId", "revisionId", "createdAt", "updatedAt", "name")
    return _page(request, [{name: one[name] for name in names} for one in box.store["flows"].values()])


@routes("GET", "/automation/v4/flows/<id>")
def flow(box: Sandbox, request: Request, id: str) -> Response:
    """Show a workflow."""
    held = box.store["flows"].get(id)
    return answer(_shown(held)) if held else _refused(404, "OBJECT_NOT_FOUND", "flow not found")
