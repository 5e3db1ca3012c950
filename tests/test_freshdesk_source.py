"""Freshdesk as source: every ticket whatever its age and state, in few calls, and later only what changed."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.connector import Raw
from migrator.errors import AccessError, TruncatedError, VendorError
from migrator.extract import Chunk, extract
from migrator.sandboxes import serving
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.sandbox import Sandbox, mount
from tests.crash.test_killed import elsewhere, extract_in, killed_at
from tests.support.connectors import connector
from tests.support.desks import small_desk, steps

fd = connector("freshdesk.sandbox")
in_box = connector("freshdesk.sandbox_tickets")
Native = dict[str, Any]


def day(number: int, second: int = 0) -> str:
    return f"2026-{1 + number // 28:02}-{1 + number % 28:02}T08:{second // 60:02}:{second % 60:02}Z"


def desk(tickets: int = 20, notes: int = 4, **how: Any) -> Sandbox:
    """Return an account with one contact, and tickets changed one after another, with notes and files."""
    box: Sandbox = fd.create(limits=how.pop("limits", False), **how)
    old = {"created_at": day(0), "updated_at": day(0)}
    fd.seed(box, "contacts", [{"id": 1, "name": "Ann", "email": "ann@some.example", "active": True, **old}])
    for number in range(1, tickets + 1):
        ticket(box, number, notes=notes)
    return box


def ticket(box: Sandbox, number: int, *, notes: int = 0, at: str | None = None, **more: Any) -> None:
    """Put a ticket into the account, as old as its number is low."""
    at = at or day(number // 60, number % 60)
    told = {"created_at": at, "updated_at": at}
    blank = {"custom_fields": {}, "tags": [], "spam": False, "requester_id": 1, "responder_id": None}
    fd.seed(
        box,
        "tickets",
        [
            {"id": number, "subject": f"Ticket {number}", "description": f"<div>Text {number}</div>", "status": 5}
            | {"priority": 1, "source": 2, "type": None, "attachments": [fd.attach(box, "a.txt", b"a")]}
            | blank
            | told
            | more
        ],
    )
    bodies = [
        {"id": number * 1000 + n, "ticket_id": number, "body": f"<div>{n}</div>", "private": False, "user_id": 1}
        | {"attachments": [fd.attach(box, "b.txt", b"b")] if n == 1 else [], "source": 2, **told}
        for n in range(1, notes + 1)
    ]
    fd.seed(box, "conversations", bodies)


def reading(folder: Path, box: Sandbox, monkeypatch: pytest.MonkeyPatch, **source: Any) -> Steps:
    """Return the steps of a migration away from the account."""
    new = registry.connector("freshdesk").sandbox.create(clock=box.clock, limits=False, host="new.sandbox")
    return steps(folder, box, new, monkeypatch, source=source)


def rows(run: Steps, sql: str) -> list[tuple[Any, ...]]:
    with Stage(run.workspace.stage) as stage:
        return stage.rows(sql)


def ids(run: Steps, table: str = "tickets") -> list[int]:
    return sorted(int(id) for (id,) in rows(run, f"SELECT id FROM raw.{table}"))


def calls(box: Sandbox, *, clear: bool = True) -> Counter[str]:
    """Return how often each address was asked, numbers left out."""
    found = Counter(re.sub(r"/\d+", "/#", e.path.removeprefix("/api/v2")) for e in box.exchanges)
    if clear:
        box.exchanges.clear()
    return found


def smaller(run: Steps, size: int, **more: Any) -> Any:
    """Return the source with lists in pages of ``size``, so that small accounts have many."""
    source = run.source()
    streams = {
        name: spec.model_copy(update={"paging": spec.paging.model_copy(update={"size": size, **more})})
        for name, spec in source.manifest.streams.items()
    }
    source.manifest = source.manifest.model_copy(update={"streams": streams})
    return source


def altered(box: Sandbox, matching: str, change: Callable[[list[Native]], list[Native]]) -> Any:
    """Return a session in which the vendor's lists that match are changed on their way."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        said: list[Any] = []
        body = b"".join(box(environ, lambda status, headers, *_: said.extend([status, headers])))
        if re.search(matching, f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}"):
            body = json.dumps(change(json.loads(body))).encode()
        start_response(said[0], [(name, value) for name, value in said[1] if name != "Content-Length"])
        return [body]

    return mount(box, **{box.host: app})


# ---- calls -----------------------------------------------------------------------------------------------------------


def test_a_ticket_with_its_conversations_and_files_costs_hardly_more_than_a_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = desk(500)
    run = reading(tmp_path, box, monkeypatch)
    brought = extract(run.source(), run.workspace)
    asked = calls(box)
    assert ids(run) == list(range(1, 501))
    assert brought.rows["conversations"] == 2000
    files = "SELECT sum(json_array_length(body, '$.attachments')) FROM raw"
    assert rows(run, f"{files}.tickets") + rows(run, f"{files}.conversations") == [(500,), (500,)]
    assert rows(run, "SELECT count(*) FROM raw.tickets WHERE (body->'$.conversations') IS NOT NULL") == [(0,)]
    assert sum(n for path, n in asked.items() if "ticket" in path and "field" not in path) / 500 <= 1.02 * 1.01


def test_the_pacer_counts_credits_so_that_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = desk(300, limits=True, plan="pro")
    run = reading(tmp_path, box, monkeypatch, plan="pro")
    began = box.clock.now()
    extract(run.source(), run.workspace)
    assert {e.status for e in box.exchanges} <= {200, 404}
    assert 60 <= (box.clock.now() - began).total_seconds() < 120  # 600 credits and a few, at 400 a minute


@pytest.mark.parametrize("notes", [0, 9, 10, 101])
def test_conversations_arrive_whole_however_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notes: int) -> None:
    box = desk(2, notes)
    run = reading(tmp_path, box, monkeypatch)
    extract(run.source(), run.workspace, streams=["tickets", "conversations"])
    assert ids(run, "conversations") == sorted(box.store["conversations"])
    pages = -(-notes // 100)
    assert calls(box)["/tickets/#/conversations"] == (2 * pages if notes >= 10 else 0)


# ---- every ticket ----------------------------------------------------------------------------------------------------


def test_the_vendors_last_page_is_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = desk(150, 0, most_pages=3)
    run = reading(tmp_path, box, monkeypatch)
    extract(smaller(run, 20, most=3), run.workspace, streams=["tickets"])
    assert ids(run) == list(range(1, 151))


def test_more_tickets_in_one_second_than_a_page_holds_are_read_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = desk(30, 0)
    for number in range(31, 81):
        ticket(box, number, at=day(0, 31))
    for number in range(81, 90):
        ticket(box, number, at=day(9))
    run = reading(tmp_path, box, monkeypatch)
    extract(smaller(run, 20), run.workspace, streams=["tickets"])
    assert ids(run) == list(range(1, 90))
    assert calls(box)["/tickets/#"] == 89


def test_more_tickets_in_one_second_than_the_vendor_hands_over_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = desk(0, most_pages=3)
    for number in range(1, 62):
        ticket(box, number, at=day(1))
    run = reading(tmp_path, box, monkeypatch)
    with pytest.raises(TruncatedError, match="3 pages of tickets were changed in one second"):
        extract(smaller(run, 20, most=3), run.workspace, streams=["tickets"])


def test_tickets_and_people_in_every_state_arrive_and_say_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = desk(12)
    box.store["tickets"][3]["spam"] = True
    box.store["tickets"][4]["deleted"] = True
    for number in (1, 7, 12):
        in_box.archive(box, number)
    old = {"created_at": day(0), "updated_at": day(0), "active": False}
    people = [{"id": n, "name": f"P{n}", "email": f"p{n}@some.example", **old} for n in (2, 3, 4)]
    fd.seed(box, "contacts", people)
    box.state["blocked"].add(2)
    box.store["contacts"][3]["deleted"] = True
    run = reading(tmp_path, box, monkeypatch)
    run.extract()
    assert ids(run) == list(range(1, 13))
    assert len(ids(run, "conversations")) == 48
    states = "SELECT id, suspended, deleted FROM canonical.contact WHERE suspended OR deleted ORDER BY id"
    assert rows(run, states) == [("2", True, None), ("3", None, True)]
    assert ids(run, "contacts") == [1, 2, 3, 4]
    plan = run.plan()
    left = {d.reason: d.count for d in plan.dispositions if d.kind == "ticket" and d.action == "skip"}
    assert left == {"marked as spam at the source": 1, "deleted at the source": 1}
    coverage = json.loads((run.workspace.folder / "coverage.json").read_text(encoding="utf-8"))
    assert coverage["uncovered"] == []
    assert coverage["unreadable"] == []


def test_the_newest_tickets_may_lie_in_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = desk(9, 1)
    for number in range(1, 10):
        in_box.archive(box, number)
    run = reading(tmp_path, box, monkeypatch)
    run.extract()
    assert ids(run) == list(range(1, 10))
    assert len(ids(run, "conversations")) == 9


def test_a_ticket_that_changes_while_the_list_is_read_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = desk(60, 1)
    looked = 0

    def work(moment: str, name: str) -> None:
        nonlocal looked
        if moment == "before" and re.fullmatch(r"GET /api/v2/tickets/\d+", name):
            looked += 1
            if looked % 9 == 0 and looked < 60:
                busy = box.store["tickets"][looked // 9]
                busy |= {"subject": f"changed {looked}", "updated_at": box.now()}
                box.clock.sleep(1)

    box.watchers.append(work)
    run = reading(tmp_path, box, monkeypatch)
    extract(smaller(run, 7), run.workspace, streams=["tickets", "conversations"])
    assert ids(run) == list(range(1, 61))
    assert len(ids(run, "conversations")) == 60
    subjects = {int(id): subject for id, subject in rows(run, "SELECT id, body->>'$.subject' FROM raw.tickets")}
    assert subjects == {id: held["subject"] for id, held in box.store["tickets"].items()}


def test_a_contact_that_leaves_while_the_list_is_read_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = desk(0)
    old = {"created_at": day(0), "updated_at": day(0), "active": True}
    fd.seed(box, "contacts", [{"id": n, "name": f"P{n:02}", "email": f"p{n}@x.example", **old} for n in range(2, 40)])

    def leaves(moment: str, name: str) -> None:
        if name == "GET /api/v2/contacts/3" and moment == "before":
            box.store["contacts"][2] |= {"deleted": True, "updated_at": box.now()}

    box.watchers.append(leaves)
    run = reading(tmp_path, box, monkeypatch)
    extract(smaller(run, 7), run.workspace, streams=["contacts"])
    assert ids(run, "contacts") == list(range(1, 40))
    assert rows(run, "SELECT id FROM raw.contacts WHERE (body->>'$._state') = 'deleted'") == [("2",)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda page: page[:50], "50 of 100 tickets"),
        (lambda page: page[::-1], "out of order"),
        (lambda page: [{**page[0], "updated_at": "1960-01-01T00:00:00Z"}, *page[1:]], "out of order"),
    ],
)
def test_a_list_that_is_not_what_was_asked_for_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any, said: str
) -> None:
    box = desk(150, 0)
    run = reading(tmp_path, box, monkeypatch)
    run.source_session = altered(box, r"/v2/tickets\?", change)
    with pytest.raises(TruncatedError, match=said):
        extract(run.source(), run.workspace, streams=["tickets"])


def test_fewer_tickets_than_the_vendors_search_counts_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = desk(9, 0)
    run = reading(tmp_path, box, monkeypatch)
    run.source_session = altered(box, r"/v2/tickets\?.*updated_since", lambda page: [t for t in page if t["id"] != 9])
    with pytest.raises(TruncatedError, match="tickets: 8 of 9"):
        extract(run.source(), run.workspace, streams=["tickets"])


# ---- going on --------------------------------------------------------------------------------------------------------


def test_a_second_round_reads_what_changed_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = desk(120, 12)
    for number in (5, 6):
        in_box.archive(box, number)
    run = reading(tmp_path, box, monkeypatch)
    extract(run.source(), run.workspace)
    calls(box)
    box.clock.sleep(3600)
    for id in (10, 11, 12):
        box.store["tickets"][id] |= {"subject": "changed", "updated_at": box.now()}
    box.store["tickets"][11]["deleted"] = True
    connector("freshdesk.sandbox_conversations").thread(box, 12).remove(12003)
    del box.store["conversations"][12003]
    ticket(box, 121, notes=2, at=box.now())
    box.store["contacts"][1] |= {"name": "Bea", "updated_at": box.now()}
    extract(run.source(), run.workspace)
    asked = calls(box)
    assert asked["/tickets/#"] == 5  # those four, and the last one of the round before
    assert asked["/tickets/#/conversations"] == 3  # of the three with more than ten
    assert asked["/contacts/#"] == 1
    assert asked["/tickets"] <= 7
    assert asked["/tickets/archived/#"] == 2
    assert ids(run) == list(range(1, 122))
    assert ids(run, "conversations") == sorted(box.store["conversations"])
    assert rows(run, "SELECT id FROM raw.tickets WHERE (body->>'$.deleted') = 'true'") == [("11",)]
    assert rows(run, "SELECT body->>'$.name' FROM raw.contacts") == [("Bea",)]
    extract(run.source(), run.workspace)
    assert sum(calls(box)[path] for path in ("/tickets/#", "/contacts/#")) <= 7  # the last second's, once more


def test_zendesks_comments_are_read_again_for_changed_tickets_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = small_desk(tickets=30)
    run = steps(tmp_path, old, new, monkeypatch, source={"options": {"comments": "ticket"}})
    extract(run.source(), run.workspace, sleep=old.clock.sleep)
    before = len(ids(run, "ticket_comments"))
    old.clock.sleep(3600)
    old.exchanges.clear()
    busy = next(t for t in old.store["tickets"].values() if t["status"] == "open")
    busy |= {"updated_at": old.now(), "generated_timestamp": int(old.clock.now().timestamp())}
    old.clock.sleep(3600)
    extract(run.source(), run.workspace, sleep=old.clock.sleep)
    assert [e.path for e in old.exchanges if "/comments" in e.path] == [f"/api/v2/tickets/{busy['id']}/comments.json"]
    assert len(ids(run, "ticket_comments")) == before


def everything(run: Steps) -> dict[str, set[tuple[Any, ...]]]:
    """Return what was staged, the moving parts of it left out."""
    return {
        stream: set(rows(run, f"SELECT id, parent, CAST(body AS VARCHAR) FROM raw.{stream}"))
        for stream in ("contacts", "tickets", "conversations", "conversations__whole")
    }


def odd(box: Sandbox) -> Sandbox:
    """Give the account one of everything that is read in its own way."""
    for number in range(13, 30):
        ticket(box, number, notes=1, at=day(0, 13))  # more in one second than a page holds
    ticket(box, 30, notes=13)
    box.store["tickets"][3]["spam"] = True
    box.store["tickets"][4]["deleted"] = True
    in_box.archive(box, 7)
    old = {"created_at": day(0), "updated_at": day(0), "active": True}
    fd.seed(box, "contacts", [{"id": n, "name": f"P{n:02}", "email": f"p{n}@x.example", **old} for n in range(2, 20)])
    box.state["blocked"].add(5)
    box.exchanges.clear()
    return box


@pytest.mark.parametrize("stream", ["contacts", "tickets", "archived_tickets", "conversations"])
def test_a_stream_goes_on_from_the_cursor_of_every_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: str
) -> None:
    box = odd(desk(12, 2))
    source = smaller(reading(tmp_path, box, monkeypatch), 7)
    held: dict[str, Raw] = {}

    def staged(of: str) -> dict[str, str | None]:
        numbers = [id for id in box.store["tickets"] if id != 7]
        return {id: r.updated_at for id, r in held.items()} if of == stream else {str(id): None for id in numbers}

    def read(start: Any, pages: int) -> Any:
        """Stage so many pages; return the cursor to go on from, None at the end."""
        for number, page in enumerate(source.pages(stream, start, staged), 1):
            held.update({record.id: record for record in page.records})
            held.update({record.id: record for other in page.also.values() for record in other})
            if page.done:
                return None
            if number == pages:
                return json.loads(json.dumps(page.cursor))
        raise AssertionError("the stream ended without saying so")

    assert read(None, 1000) is None
    wanted = dict(held)
    assert len(wanted) >= 3
    pages = 0
    while True:
        held.clear()
        pages += 1
        cursor = read(None, pages)
        if cursor is None:
            break
        assert read(cursor, 1000) is None
        assert held == wanted, f"after page {pages}"
    assert pages >= {"archived_tickets": 2, "conversations": 1}.get(stream, 3)
    held.clear()
    cursor = read(None, 1)
    while cursor is not None:  # ended after each page
        cursor = read(cursor, 1)
    assert held == wanted


@pytest.mark.parametrize("at", [4, 9, 23, 37, 60])
def test_an_extract_that_ends_at_a_call_goes_on_without_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    box = odd(desk(12, 2))
    streams = ["contacts", "tickets", "archived_tickets", "conversations"]
    run = reading(tmp_path / "whole", box, monkeypatch)
    extract(smaller(run, 7), run.workspace, streams=streams)
    wanted, count = everything(run), len(box.exchanges)
    assert len(wanted["tickets"]) == 30
    assert count > at
    again = reading(tmp_path / "again", box, monkeypatch)
    box.fault("reset", at=at, times=10)
    with pytest.raises(VendorError):
        extract(smaller(again, 7), again.workspace, streams=streams, chunk=Chunk(3, seconds=0))
    box.faults.clear()
    extract(smaller(again, 7), again.workspace, streams=streams, chunk=Chunk(3, seconds=0))
    assert everything(again) == wanted


@pytest.mark.parametrize("nth", [12, 45])
def test_an_extract_that_is_killed_goes_on_without_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    box = odd(desk(40, 2))
    run = reading(tmp_path / "whole", box, monkeypatch)
    extract(run.source(), run.workspace)
    folder = tmp_path / "killed"
    reading(folder, box, monkeypatch)
    with serving(box) as url:
        killed_at(extract_in, folder, url, box, "after", nth, "GET")
        again = elsewhere(str(folder), url, "source", {})
        extract(again.source(), again.workspace)
    strip = r"https?://[^/]+/"
    for stream, held in everything(run).items():
        found = {(id, of, re.sub(strip, "", body)) for id, of, body in everything(again)[stream]}
        assert found == {(id, of, re.sub(strip, "", body)) for id, of, body in held}, stream


# ---- what a plan lacks -----------------------------------------------------------------------------------------------


def test_what_the_plan_lacks_is_noted_and_the_rest_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = desk(5, plan="trial")
    del box.store["tickets"][2]
    connector("freshdesk.sandbox_rules").indexed(box, "tickets", 2)
    box.state["find_lag_seconds"] = 0
    run = reading(tmp_path, box, monkeypatch)
    brought = run.extract()
    assert set(brought.refused) == {"archived_tickets", "satisfaction_ratings"}
    assert "Archive Tickets feature(s) is/are not supported in your plan" in brought.refused["archived_tickets"]
    noted = json.loads((run.workspace.folder / "extract.json").read_text(encoding="utf-8"))
    assert noted["refused"] == brought.refused
    assert calls(box)["/tickets/archived/#"] == 1
    assert ids(run) == [1, 3, 4, 5]


def test_a_right_that_is_missing_for_more_than_that_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = desk(1)
    box.state["scope"] = "agent"
    run = reading(tmp_path, box, monkeypatch)
    with pytest.raises(AccessError, match="lacks the right"):
        run.extract()
