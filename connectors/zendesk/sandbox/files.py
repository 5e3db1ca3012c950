"""Zendesk's files: uploads, attachments, and the foreign host that answers the bytes and must never see credentials."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Clock, Native, Routes, Sandbox

from .answers import ACCOUNT_ID, Refused, address, invalid, not_found, reply, route, routes

CONTENT_HOST = "content.zendesk-usercontent.invalid"
UPLOAD_SECONDS = 3_600
MAX_BYTES = 50 * 1024 * 1024
TOKEN_IN_URL = re.compile(r"/attachments/token/([^/?]+)")

content_routes = Routes()
Lazy = Callable[[], bytes]


def token_of(attachment: Native) -> str | None:
    """Return the token in an attachment's address."""
    found = TOKEN_IN_URL.search(attachment.get("content_url") or "")
    return found[1] if found else None


def keep(box: Sandbox, attachment: Native) -> None:
    """Remember an attachment (and its thumbnails) by id and by token."""
    box.store["attachments"][attachment["id"]] = attachment
    token = token_of(attachment)
    if token:
        box.state["tokens"][token] = attachment
    for thumbnail in attachment.get("thumbnails") or []:
        keep(box, thumbnail)


def put_bytes(box: Sandbox, token: str, data: bytes | Lazy) -> None:
    """Set what a token's address answers; a function is called when the bytes are asked for."""
    if callable(data):
        box.state["lazy_blobs"][token] = data
    else:
        box.blobs[token] = data


@route("GET", "attachments/<int:key>")
def attachment(box: Sandbox, request: Request, key: int) -> Response:
    """Answer what is known about an attachment."""
    if key not in box.store["attachments"]:
        raise not_found()
    return reply({"attachment": box.store["attachments"][key]})


@routes("GET", "/attachments/token/<token>/")
def redirect(box: Sandbox, request: Request, token: str) -> Response:
    """Answer 302 to the foreign host, with a token of its own in the query."""
    known = box.state["tokens"].get(token)
    if known is None:
        return Response("Not found", 404, content_type="text/html; charset=utf-8")
    where = f"{box.state['content_base']}/attachment/{ACCOUNT_ID}/{quote(token)}?token={_signature(token)}"
    page = f'<html><body>You are being <a href="{where}">redirected</a>.</body></html>'
    return Response(page, 302, {"Location": where}, content_type="text/html; charset=utf-8")


def _signature(token: str) -> str:
    return "eyJ." + hashlib.sha256(token.encode()).hexdigest()[:32]


def content_host(box: Sandbox, clock: Clock) -> Sandbox:
    """Return the foreign host as a sandbox of its own, so that faults can be ordered on it."""
    host = Sandbox("zendesk content", content_routes, clock=clock, host=CONTENT_HOST)
    host.keep_bodies = False
    host.state["box"] = box
    return host


@content_routes("GET", "/attachment/<int:account>/<token>")
def content(host: Sandbox, request: Request, account: int, token: str) -> Response:
    """Answer the bytes. An Authorization header is noted in ``box.state["leaks"]`` and refused."""
    box: Sandbox = host.state["box"]
    if request.headers.get("Authorization"):
        box.state["leaks"].append({"path": request.path, "header": "Authorization"})
        return Response("Only one auth mechanism allowed", 400, content_type="text/plain")
    if request.args.get("token") != _signature(token):
        return Response("Forbidden", 403, content_type="text/plain")
    lazy: Lazy | None = box.state["lazy_blobs"].get(token)
    data = lazy() if lazy else box.blobs.get(token)
    known = box.state["tokens"].get(token)
    if data is None or known is None:
        return Response("Not found", 404, content_type="text/plain")
    kind = known.get("content_type") or "application/octet-stream"
    place = "inline" if str(kind).startswith("image/") else "attachment"
    name = quote(known.get("file_name") or "file")
    return Response(data, 200, {"Content-Disposition": f"{place}; filename*=UTF-8''{name}"}, content_type=kind)


@route("POST", "uploads")
def upload(box: Sandbox, request: Request) -> Response:
    """Take one file and answer a token, valid for an hour; a ``token`` in the query adds to that upload."""
    name, data = request.args.get("filename", ""), request.get_data()
    if not name:
        raise Refused(400, {"error": "Param is missing or the value is empty: filename", "description": "filename"})
    if len(data) > MAX_BYTES:
        raise Refused(413, {"error": "AttachmentTooLarge", "description": "The file is larger than 50 MB"})
    if not data:
        raise invalid(base=("Attachment: cannot be blank", "BlankValue"))
    file_id = box.next_id()
    secret = hashlib.sha256(f"{file_id}".encode()).hexdigest()[:25]
    url = f"{request.host_url}attachments/token/{secret}/?name={quote(name)}"
    made: Native = {
        "url": address(request, f"attachments/{file_id}.json"),
        "id": file_id,
        "file_name": name,
        "content_url": url,
        "mapped_content_url": url,
        "content_type": request.content_type or "application/octet-stream",
        "size": len(data),
        "width": None,
        "height": None,
        "inline": request.args.get("inline") == "true",
        "deleted": False,
        "malware_access_override": False,
        "malware_scan_result": "not_scanned",
        "thumbnails": [],
    }
    keep(box, made)
    put_bytes(box, secret, data)
    token = request.args.get("token") or hashlib.sha256(f"upload{file_id}".encode()).hexdigest()[:25]
    now = box.clock.now().timestamp()
    kept = box.state["uploads"].setdefault(token, {"until": now + UPLOAD_SECONDS, "files": [], "used": False})
    if kept["used"] or kept["until"] < now:
        raise invalid(base=("The upload token is expired or was used", "InvalidValue"))
    kept["files"].append(made)
    until = datetime.fromtimestamp(kept["until"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = {"upload": {"token": token, "expires_at": until, "attachments": list(kept["files"]), "attachment": made}}
    return reply(body, 201, Location=made["url"])


@route("DELETE", "uploads/<token>")
def delete_upload(box: Sandbox, request: Request, token: str) -> Response:
    """Forget an upload."""
    if box.state["uploads"].pop(token.removesuffix(".json"), None) is None:
        raise not_found()
    return Response(status=204)


def claim(box: Sandbox, tokens: Any) -> list[Native]:
    """Return the files of upload tokens, each good for one use within the hour. Refuses others with 422."""
    files: list[Native] = []
    for token in [tokens] if isinstance(tokens, str) else tokens or []:
        kept = box.state["uploads"].get(token)
        if kept is None or kept["used"] or kept["until"] < box.clock.now().timestamp():
            raise invalid(uploads=(f"Upload: {token} is invalid or expired", "InvalidValue"))
        kept["used"] = True
        files += kept["files"]
    return files
