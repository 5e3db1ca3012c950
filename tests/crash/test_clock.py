"""Our machine's clock may be wrong by hours, and be set at any moment: what is in doubt is found all the same."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from werkzeug.wrappers import Response

from migrator.http import Client
from migrator.pacer import Pacer
from migrator.testing.chaos import Killed
from migrator.testing.sandbox import Clock, Routes, Sandbox, mount
from tests.support.desks import steps, tiny_desk, tiny_freshdesk

HOURS = {"ahead": timedelta(hours=30), "behind": timedelta(hours=-30), "right": timedelta()}
PAIRS: dict[str, Callable[[], tuple[Sandbox, Sandbox]]] = {"freshdesk": tiny_desk, "zendesk": tiny_freshdesk}


@pytest.fixture(scope="module", params=list(PAIRS))
def extracted(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Return a destination's vendor, and an extracted workspace whose source is not asked again."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("clock")
        old, new = PAIRS[request.param]()
        run = steps(folder, old, new, patch)
        run.extract()
        run.plan()
        yield request.param, folder


@pytest.mark.parametrize(
    ("before", "after", "at"), [("ahead", "right", 1), ("right", "behind", 3), ("behind", "ahead", 4)]
)
def test_a_clock_that_jumps_between_crash_and_resume_doubles_nothing(
    extracted: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str, at: int
) -> None:
    vendor, planned = extracted
    for file in ("stage.duckdb", "ledger.sqlite", "plan.json"):
        (tmp_path / file).write_bytes((planned / file).read_bytes())
    (tmp_path / "blobs").symlink_to(planned / "blobs")
    old, new = PAIRS[vendor]()
    run = steps(tmp_path, old, new, monkeypatch)
    jumps = itertools.cycle([HOURS[before], HOURS["right"]])
    wrong, seen = [HOURS[before]], [0]
    run.clock = lambda: new.clock.now() + wrong[0]

    def watch(moment: str, name: str) -> None:
        if moment == "after" and not name.startswith("GET"):
            seen[0] += 1
            wrong[0] = next(jumps)  # in the middle of the load too
            if seen[0] == at:
                raise Killed

    new.watchers.append(watch)
    with pytest.raises(Killed):
        run.load(run.saved_plan()["digest"])
    new.watchers.clear()
    wrong[0] = HOURS[after]
    assert run.load(run.saved_plan()["digest"]).finished
    assert sorted(t["subject"] for t in new.store["tickets"].values()) == ["Question 100", "Question 101"]
    verified, differences = run.verify()
    assert verified.proven, differences


def test_time_is_the_vendors_whatever_ours_does() -> None:
    box = Sandbox("desk", _routes(), clock=Clock("2026-11-01T10:00:00+00:00"))
    ours = [datetime.fromisoformat("2030-01-01T00:00:00+00:00")]
    client = Client(box.base_url, None, Pacer([], monotonic=box.clock.monotonic), mount(box), now=lambda: ours[0])
    assert client.vendor_now() == ours[0]  # nothing was told yet
    client.read("/hello")
    assert client.vendor_now() == box.clock.now()
    ours[0] += timedelta(days=400)
    box.clock.sleep(90)
    assert client.vendor_now() == box.clock.now()


def test_a_vendor_that_tells_no_time_leaves_us_our_own() -> None:
    box = Sandbox("desk", _routes(), clock=Clock())

    def timeless(environ: dict[str, Any], start_response: Any) -> Any:
        return box(environ, lambda status, headers, *_: start_response(status, [h for h in headers if h[0] != "Date"]))

    ours = datetime.fromisoformat("2030-01-01T00:00:00+00:00")
    session: requests.Session = mount(box, **{box.host: timeless})
    client = Client(box.base_url, None, Pacer([]), session, now=lambda: ours)
    client.read("/hello")
    assert client.vendor_now() == ours


def _routes() -> Any:
    routes = Routes()
    routes("GET", "/hello")(lambda box, request: Response("{}", content_type="application/json"))
    return routes
