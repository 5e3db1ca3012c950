"""The conformance suite, judged by a true Request Tracker: by its API alone, with its database, with every channel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from migrator.testing.conformance import Check, Suite, checks
from migrator.testing.servers import Proxy
from migrator.testing.servers.request_tracker import RequestTracker

from .grounds import ground

# The import command takes seconds a field: faults are swept without it (test_killed has it).
CHANNELS: dict[str, tuple[str, ...]] = {"api": (), "sql": ("sql",), "all": ("initialdata", "sql")}
HARMS = {"api": ("truncated",), "sql": ("503", "reset", "unanswered", "failed"), "all": ()}
_here: dict[str, tuple[RequestTracker, Proxy]] = {}


@pytest.fixture(autouse=True)
def _running(server: RequestTracker) -> Iterator[None]:
    with Proxy(server.url) as proxy:
        _here["now"] = (server, proxy)
        yield


def small(server: RequestTracker) -> None:
    """Put a small account in with nothing of ours: plain calls."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"token {server.token}"

        def call(method: str, path: str, **body: object) -> str:
            answer = session.request(method, f"{server.url}/REST/2.0{path}", json=body, timeout=60)
            assert answer.ok, answer.text
            return answer.headers.get("Location", "").rsplit("/", 1)[-1]

        call("POST", "/queue", Name="Rechnungen ü")
        for n in range(9):
            call("POST", "/user", Name=f"user {n}", EmailAddress=f"u{n}@x.example", Privileged=n % 2, Disabled=n == 8)
        for n in range(11):
            text = {"Content": f"<p>{n}", "ContentType": "text/html"}
            made = call(
                "POST", "/ticket", Queue="General", Subject=f"日本 {n}", Requestor=f"u{n % 8}@x.example", **text
            )
            call("POST", f"/ticket/{made}/comment", Content=f"note {n}\n> quoted", ContentType="text/plain")
        for name in ("Rechnungen ü", "Zweite Linie"):
            made = call("POST", "/group", Name=name)
            session.put(f"{server.url}/REST/2.0/group/{made}/members", json=["14"], timeout=60).raise_for_status()
        call("POST", "/article", Class="General", Name="日本", CustomFields={"Content": "a & b\nc"})
        call("PUT", "/ticket/5", MergeInto=6)
        call("DELETE", "/ticket/7")
        call("PUT", "/ticket/1", AddRefersTo=["2"], AddDependsOn=["3"], AddMembers=["4"])


def suite(name: str) -> Suite:
    """Return the suite for a set of channels."""
    channels = CHANNELS[name]
    return Suite(
        "request_tracker",
        ground=lambda: ground(*_here["now"], channels),
        fill=small if name == "api" else None,
        records=5 if name == "all" else 6,
        step=20,
        channels=channels,
        harms=HARMS[name],
    )


@pytest.mark.parametrize("check", [pytest.param(c, id=f"{n}: {c}") for n in CHANNELS for c in checks(suite(n))])
def test_conformance(check: Check, tmp_path: Path) -> None:
    check(tmp_path)
