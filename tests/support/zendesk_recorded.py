"""A real Zendesk account as recorded in 2022: its own answers byte for byte, the rest served from its records."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Clock, Native, Sandbox
from tests.support.connectors import connector

HOST = "znunyhelp.zendesk.com"
CONTENT = "p18.zdusercontent.com"
ALIASES = (
    "<IMPORT_ZENDESK_ENDPOINT_HOSTNAME>",
    "<import_zendesk_endpoint_hostname>",
    "%3Cimport_zendesk_endpoint_hostname%3E",
)
STREAMS = ("groups", "ticket_fields", "user_fields", "organization_fields", "group_memberships")
NEUTRAL = {"page": "1", "per_page": "100", "include_inline_images": "", "name": ""}  # leave a recorded answer as it is


class Recorded(Sandbox):
    """A sandbox that answers what was recorded, byte for byte, before it answers anything of its own."""

    def _answer(self, request: Request, name: str, how: str | None) -> Response:
        response = super()._answer(request, name, how)
        path = request.path.removesuffix(".json")
        recorded: dict[str, tuple[int, bytes, str, str]] = self.state["recorded"]
        plain = all(word in NEUTRAL and value in (NEUTRAL[word] or value) for word, value in request.args.items())
        wanted = request.method == "GET" and path in recorded and plain
        if not wanted or response.status_code in (401, 403, 429, 500, 502, 503):
            return response
        status, body, kind, location = recorded[path]
        response.status_code, response.content_type = status, kind
        response.set_data(body)
        if location:
            response.headers["Location"] = location
        return response


def recorded(path: Path, *, clock: Clock | None = None, limits: bool = True) -> Sandbox:
    """Return the account of ``zendesk_import.decoded.json``: 144 tickets, 151 comments, 142 users, 3 attachments."""
    zendesk: Any = connector("zendesk.sandbox")
    box: Sandbox = zendesk.create(clock=clock, host=HOST, limits=limits)
    box.__class__ = Recorded
    answers: dict[str, tuple[int, bytes, str, str]] = {}
    contents: dict[str, tuple[bytes, dict[str, str]]] = {}
    exports: dict[str, dict[int, Native]] = {"tickets": {}, "users": {}, "organizations": {}}
    comments: dict[int, list[Native]] = {}
    for interaction in json.loads(path.read_text("utf-8"))["interactions"]:
        where = urlsplit(interaction["request"]["uri"].replace(ALIASES[0], HOST))
        body, headers = _body(interaction["response"]["body"]), interaction["response"]["headers"]
        status = interaction["response"]["status"]["code"]
        if where.hostname == CONTENT:
            kept = ("Content-Type", "Content-Disposition")
            contents[where.path] = (body, {name: headers[name][0] for name in kept if name in headers})
            continue
        resource = where.path.removeprefix("/api/v2/").removesuffix(".json")
        if resource.startswith("incremental/"):
            stream = resource.split("/")[1]
            exports[stream].update({row["id"]: row for row in json.loads(body)[stream]})
            continue
        location = headers.get("Location", [""])[0]
        answers[where.path.removesuffix(".json")] = (status, body, headers["Content-Type"][0], location)
        if resource.endswith("/comments"):
            comments[int(resource.split("/")[1])] = json.loads(body)["comments"]
        elif resource in STREAMS:
            zendesk.seed(box, resource, json.loads(body)[resource])
    for stream, rows in exports.items():
        zendesk.seed(box, stream, rows.values())
    for ticket, rows_of in comments.items():
        zendesk.seed(box, "ticket_comments", [{"ticket_id": ticket, "comment": comment} for comment in rows_of])
    box.state["recorded"], box.state["contents"] = answers, contents
    box.state["hosts"] = dict.fromkeys(ALIASES, box) | {CONTENT: _content(box)}
    return box


def _body(body: dict[str, str]) -> bytes:
    return base64.b64decode(body["base64"]) if "base64" in body else body.get("text", "").encode()


def _content(box: Sandbox) -> Any:
    """Return the foreign host: its signed tokens were stripped, so host and path decide."""

    @Request.application
    def host(request: Request) -> Response:
        if request.headers.get("Authorization"):
            box.state["leaks"].append({"path": request.path, "header": "Authorization"})
            return Response("Only one auth mechanism allowed", 400)
        if request.path not in box.state["contents"] or "token" not in parse_qs(request.query_string.decode()):
            return Response("Not found", 404)
        body, headers = box.state["contents"][request.path]
        return Response(body, 200, headers)

    return host
