"""A made-up account for the sandbox, with one of everything."""

from __future__ import annotations

from typing import Any

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox

BIRCH, ROWAN = "birch.example", "rowan.example"


def _ran(program: str, **params: str | list[str]) -> Native:
    pairs = [
        (f"--{name.replace('_', '-')}", value)
        for name, told in params.items()
        for value in (told if isinstance(told, list) else [told])
    ]
    return {"program": program, "params": [pair if pair[1] else pair[:1] for pair in pairs]}


RUNS: list[Native] = [
    _ran("create-domain", domain=BIRCH, parent=sandbox.SERVER, dir="", web="", mail="", dns=""),
    _ran("create-domain", domain=ROWAN, parent=sandbox.SERVER, dir="", no_email=""),
    _ran("create-domain", domain="birch.test", alias=BIRCH, mail=""),
    _ran(
        "create-user", domain=BIRCH, user="eve", encpass="$6$s$h", real="Eve Ö.", quota="1048576", no_creation_mail=""
    ),
    _ran("create-user", domain=BIRCH, user="old", **{"pass": "secret-secret"}, disable="", no_creation_mail=""),
    _ran(
        "create-user", domain=BIRCH, user="up", **{"pass": "secret-secret"}, ftp="", noemail="", home="public_html/up"
    ),
    _ran("create-user", domain=BIRCH, user="base", **{"pass": "secret-secret"}, noemail=""),
    _ran("modify-user", domain=BIRCH, user="eve", autoreply="Away.\\nBack soon: Monday.", autoreply_start="2026-07-01"),
    _ran("modify-user", domain=BIRCH, user="old", add_forward=["eve@birch.example"], no_local=""),
    _ran("create-alias", domain=BIRCH, **{"from": "info"}, to=["eve@birch.example", "x@else.example"]),
    _ran("create-alias", domain=BIRCH, **{"from": "*"}, to=["eve@birch.example"]),
    _ran("create-alias", domain=BIRCH, **{"from": "hook"}, to=["|/home/home/bin/ticket"]),
    _ran("create-database", domain=sandbox.SERVER, name="shop", type="mysql"),
    _ran("create-redirect", domain=BIRCH, path="/old", redirect="https://birch.example/new", code="301"),
    _ran("modify-dns", domain=BIRCH, add_record_with_ttl=["k1._domainkey TXT 600 " + "A" * 300]),
]


def fill(box: Sandbox) -> Any:
    """Let the account have them made."""
    sandbox.seed(box, "", RUNS)
