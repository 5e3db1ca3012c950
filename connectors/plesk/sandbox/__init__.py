"""Plesk's twin for one subscription, from its documentation (see facts.yaml): the XML API, and its command line."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from xml.etree.ElementTree import Element, SubElement, tostring

from defusedxml.ElementTree import ParseError, fromstring
from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Clock, Native, Routes, Sandbox

from . import mail, storage  # noqa: F401 - they register what they do
from .command_line import scheduler
from .objects import OPERATIONS, RefusedError, new_site
from .schema import ORDER, fault
from .staged import restored

TOKEN = "sandbox-secret"
USER, MAIN = "migrator", "main.example"
SETTINGS = {"user": USER, "subscription": MAIN}
routes = Routes()


def create(*, clock: Clock | None = None, plan: str = "own", limits: bool = True) -> Sandbox:
    """Return a server with one subscription, whose first domain is hosted, and another customer's site."""
    box = Sandbox("plesk", routes, clock=clock, host="plesk.invalid")
    box.state.update(folders={"/httpdocs"}, handlers={"8.1", "8.3"}, forbidden=set(), user=USER, stands=False)
    _founded(box, MAIN)
    return box


def _founded(box: Sandbox, main: str) -> None:
    box.state["main"] = main
    new_site(box, main, webspace=True)
    new_site(box, "theirs.example", owner="theirs.example", webspace=True)


def stands_for(box: Sandbox, settings: Mapping[str, str]) -> None:
    """Be the server of the account with these settings: what is put in from now on is as a plan staged it."""
    for table in ("site", "others", "dns"):
        box.store[table].clear()
    _founded(box, settings.get("subscription", MAIN).strip().lower().rstrip("."))
    for row in [id for id, row in box.store["dns"].items() if row["site-id"] in box.store["site"]]:
        del box.store["dns"][row]  # what stands there, the plan has found
    box.state.update(user=settings.get("user", USER), stands=True)


def seed(box: Sandbox, stream: str, bodies: Iterable[Native]) -> None:
    """Put objects in, as they are: of ``site``, ``site_alias``, ``mail``, ``database``, ``ftp_user`` and the others."""
    for body in bodies:
        if box.state["stands"]:
            restored(box, stream, body)
        elif stream == "site":
            new_site(box, **body)
        else:
            held = {**body, "id": str(body.get("id") or box.next_id())}
            key = {"mail": "address", "database_user": "login", "ftp_user": "name"}.get(stream, "id")
            box.store[stream][held[key]] = held


@routes("POST", "/enterprise/control/agent.php")
def agent(box: Sandbox, request: Request) -> Response:
    """Carry out a packet: each operation by itself, and each object in it with a status of its own."""
    if not _known(box, request):
        return _system(1001, "You have entered incorrect username or password.")
    try:
        asked = fromstring(request.get_data(), forbid_dtd=True)
    except ParseError as err:
        return _system(1014, f"Parser error: {err}")
    for operator in asked:
        for one in operator:
            path = f"{operator.tag}/{one.tag}"
            if path not in ORDER:
                return _system(1014, f"Parser error: Element '{one.tag}': This element is not expected.")
            if problem := fault(one, path):
                return _system(1014, problem)
    answer = Element("packet", version="1.6.9.1")
    for operator in asked:
        said = SubElement(answer, operator.tag)
        for one in operator:
            _carry_out(box, f"{operator.tag}/{one.tag}", one, SubElement(said, one.tag))
    return _answer(answer)


def _carry_out(box: Sandbox, path: str, asked: Element, said: Element) -> None:
    inner, place = asked, said
    if path == "mail/update":  # its results lie one level further down
        inner = asked[0]
        place = SubElement(said, inner.tag)
    try:
        if path in box.state["forbidden"]:
            raise RefusedError(1006, "Permission denied.")
        for parts in OPERATIONS[path](box, inner):
            result = SubElement(place, "result")
            SubElement(result, "status").text = "ok"
            result.extend(parts)
    except RefusedError as err:
        result = SubElement(place, "result")
        _error(result, err.code, str(err))


def _known(box: Sandbox, request: Request) -> bool:
    environ = request.environ
    given = (
        environ.get("HTTP_HTTP_AUTH_LOGIN", environ.get("HTTP_AUTH_LOGIN")),
        environ.get("HTTP_HTTP_AUTH_PASSWD", environ.get("HTTP_AUTH_PASSWD")),
    )
    return given == (box.state["user"], TOKEN) or request.headers.get("KEY") == TOKEN


def _error(node: Element, code: int, text: str) -> None:
    for tag, value in (("status", "error"), ("errcode", str(code)), ("errtext", text)):
        SubElement(node, tag).text = value


def _system(code: int, text: str) -> Response:
    answer = Element("packet")
    _error(SubElement(answer, "system"), code, text)
    return _answer(answer)


def _answer(root: Element) -> Response:
    return Response(tostring(root, encoding="utf-8", xml_declaration=True), 200, content_type="text/xml")


@routes("POST", "/api/v2/cli/<utility>/call")
def command(box: Sandbox, request: Request, utility: str) -> Response:
    """Call a command line utility, for the administrator."""
    basic = "Basic " + b64encode(f"{box.state['user']}:{TOKEN}".encode()).decode()
    if request.headers.get("X-API-Key") != TOKEN and request.headers.get("Authorization") != basic:
        return Response('{"code": 0, "message": "Unauthorized"}', 401, content_type="application/json")
    if utility != "scheduler":
        return Response('{"code": 0, "message": "No such utility"}', 404, content_type="application/json")
    code, printed, complaint = scheduler(box, list(json.loads(request.get_data())["params"]))
    told = {"code": code, "stdout": printed, "stderr": complaint}
    return Response(json.dumps(told), 200, content_type="application/json")
