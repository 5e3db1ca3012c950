"""A faithful local twin of Virtualmin's remote API: ``remote.cgi`` before the programs that a command line would run.

Written from the programs' own source (virtualmin/virtualmin-gpl): every answer is HTTP 200, what a program prints is
turned into JSON line by line, and a program that complains says so in its exit status, or not at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote_plus

from werkzeug.wrappers import Request, Response

from migrator.testing.sandbox import Clock, Native, Routes, Sandbox

from . import dns, mail, servers
from .programs import PROGRAMS, ExitError, furnished
from .staged import OWNER, restored

__all__ = ["SETTINGS", "TOKEN", "USER", "create", "dns", "mail", "seed", "servers", "stands_for"]

TOKEN = "sandbox-password"
USER, SERVER = "root", "home.example"
SETTINGS = {"user": USER, "server": SERVER}
LOGIN_PAGE = "<!DOCTYPE HTML>\n<html><head><title>Login to Webmin</title></head><body>...</body></html>"
routes = Routes()


def create(*, clock: Clock | None = None, plan: str = "own", limits: bool = True) -> Sandbox:
    """Return a server with one account, whose virtual server holds nothing yet."""
    box = Sandbox("virtualmin", routes, clock=clock, host="panel.invalid", admit=_admitted)
    box.state.update(sessions=False, stranger=False, noise=None, dns_within=False, ids=1795741200)
    _founded(box, SERVER)
    return box


def _founded(box: Sandbox, server: str) -> None:
    box.state["server"] = server
    furnished(box, server, OWNER, features=("unix", "dir", "mail", "mysql", "webmin"))


def stands_for(box: Sandbox, settings: Mapping[str, str]) -> None:
    """Be the server of the account with these settings."""
    box.store["domains"].clear()
    _founded(box, settings.get("server", SERVER).strip().lower().rstrip("."))


def seed(box: Sandbox, stream: str, bodies: Iterable[Native]) -> None:
    """Put records in: a body with a ``program`` and its ``params`` is run, any other is a record as it is staged."""
    for body in bodies:
        if "program" in body:
            PROGRAMS[str(body["program"])](box, [word for pair in body["params"] for word in pair])
        else:
            restored(box, stream, body)


def _admitted(box: Sandbox, request: Request) -> Response | None:
    auth = request.authorization
    if box.state["sessions"]:
        return Response(LOGIN_PAGE, 200, content_type="text/html")
    if auth is None or auth.password != TOKEN:
        return Response("Unauthorized", 401, {"WWW-Authenticate": 'Basic realm="Webmin Server"'})
    return None


@routes("GET", "/virtual-server/remote.cgi")
def asked(box: Sandbox, request: Request) -> Response:
    """Run a program that the query names."""
    return _run(box, request.query_string.decode())


@routes("POST", "/virtual-server/remote.cgi")
def told(box: Sandbox, request: Request) -> Response:
    """Run a program that the form names."""
    return _run(box, request.get_data().decode())


def _run(box: Sandbox, form: str) -> Response:
    pairs = [(unquote_plus(name), unquote_plus(value)) for name, _, value in _parts(form)]
    given = dict(pairs)
    if box.state["stranger"]:
        return Response("ERROR: You are not allowed to run remote commands\n", content_type="text/plain")
    if not given.get("program"):
        return Response("This CGI is designed to be invoked by other programs wanting\n", content_type="text/plain")
    program = given["program"]
    if program not in PROGRAMS:
        return _json({"status": "error", "error": f"No such program {program}"})
    words = [
        word
        for name, value in pairs
        if name not in ("program", "json")
        for word in [f"--{name}", value][: 2 - (not value)]
    ]
    try:
        out, status = PROGRAMS[program](box, words), 0
    except ExitError as end:
        out, status = end.printed, end.status
    if box.state["noise"]:
        at, line = box.state["noise"]
        lines = out.split("\n")
        out = "\n".join([*lines[:at], line, *lines[at:]])
    if "json" not in given:
        return Response(f"{out}\nExit status: {status}\n", content_type="text/plain")
    return _json(converted(program, out, status, given))


def _parts(form: str) -> list[tuple[str, str, str]]:
    return [part.partition("=") for part in form.split("&") if part]


def _json(answer: Native) -> Response:
    return Response(json.dumps(answer, indent=3, ensure_ascii=False) + "\n", content_type="application/json")


def converted(program: str, out: str, status: int, given: Native) -> Native:
    """Return what a program printed as remote.cgi answers it (json-lib.pl, convert_remote_format)."""
    answer: Native = {"command": program, "status": "failure" if status else "success"}
    if status:
        answer["error"] = next((line for line in re.split(r"\r?\n", out) if line.strip()), None)
        return answer | {"full_error": out}
    if not re.match(r"list-|get-dns", program):
        return answer | {"output": out}
    data: list[Native] = []
    held: dict[str, list[str]] | None = None
    for line in re.split(r"\r?\n", out):
        above = re.fullmatch(r"(\S[^:]+):\s*(.*)", line, re.A)
        below = re.fullmatch(r"\s+(\S[^:]+):\s*(.*)", line, re.A)
        if above and held is None:
            data.append({"name": above[1], "value": above[2]})
        elif re.match(r"\S", line, re.A):
            held = {}
            data.append({"name": line, "values": held})
        elif below and held is not None:
            held.setdefault(re.sub(r"\s", "_", below[1].lower(), flags=re.A), []).append(below[2])
    return answer | {"data": data}
