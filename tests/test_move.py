"""Reading, files and writing side by side end where one after another does, on the terms of a plan that was read."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.wrappers import Request, Response

from migrator import registry
from migrator.accounts import silent
from migrator.errors import InputError, PlanError, VendorError
from migrator.extract import Arrivals
from migrator.ledger import Ledger
from migrator.move import OFTEN, Moved, Terms, due, move
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.sandbox import Clock, Sandbox
from migrator.waves import ASIDE, WAITS, Wave
from tests.support.desks import small_desk, steps, tiny_desk
from tests.test_both_ways import BOTH, second_zendesk

pytestmark = pytest.mark.sandbox


def held(box: Sandbox) -> dict[str, int]:
    """Return how many records of each stream a sandbox holds."""
    return {stream: len(records) for stream, records in box.store.items() if records}


def moved(run: Steps, least: int = 3) -> Moved:
    """Read the first plan, as a person would, and move on its terms."""
    first = move(run, None, least=10_000)
    return move(run, first.plan.digest[:12], accept_losses=True, least=least)


def one_after_another(run: Steps) -> None:
    run.extract()
    assert run.load(run.plan().digest, accept_losses=True).finished


# ---- the same end ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ["ticket", "events"])
def test_waves_leave_what_one_load_leaves_and_it_is_as_predicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    (old, new), (_, wanted) = small_desk(tickets=12), small_desk(tickets=1)
    run = steps(tmp_path / "waves", old, new, monkeypatch, source={"options": {"comments": route}})
    result = moved(run)
    assert (result.quarantined, result.extracted is not None) == (0, True)
    verified, differences = run.verify()
    assert verified.proven, differences[:3]
    one_after_another(steps(tmp_path / "one", old, wanted, monkeypatch))
    assert held(new) == held(wanted)


def test_tickets_and_their_threads_arrive_together_and_move_the_other_way_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    old, middle = small_desk(clock, tickets=8)
    one_after_another(steps(tmp_path / "there", old, middle, monkeypatch))
    new = second_zendesk(clock)
    run = steps(tmp_path / "back", middle, new, monkeypatch, destination=BOTH)
    assert moved(run, least=2).quarantined == 0
    verified, differences = run.verify()
    assert verified.proven, differences[:3]


def test_writing_begins_while_the_source_is_still_being_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = tiny_desk()
    run, written, reached = steps(tmp_path, old, new, monkeypatch), threading.Event(), []
    first = move(run, None, least=1)
    new.watchers.append(lambda moment, name: written.set() if name.startswith("POST") else None)

    def wait(moment: str, name: str) -> None:
        if moment == "before" and name.endswith("/comments.json"):
            reached.append(written.wait(60))  # one after another, nothing would ever be written

    old.watchers.append(wait)
    changed = {"updated_at": "2024-02-01T00:00:00Z", "generated_timestamp": 1706745600}
    old.store["tickets"][100].update(changed)  # so that its thread is read again
    move(run, first.plan.digest, least=1)
    assert reached
    assert all(reached)


@pytest.mark.parametrize(("quota", "workers"), [(3, 1), (7, 4), (50, 8)])
def test_what_came_before_the_quota_waits_is_handed_over_before_it_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: int, workers: int
) -> None:
    old, new = small_desk(tickets=20)
    account = {"per_minute": quota, "workers": workers, "options": {"comments": "ticket"}}
    source = steps(tmp_path, old, new, monkeypatch, source=account).source()
    asked: list[tuple[float, str]] = []
    old.watchers.append(
        lambda moment, name: asked.append((old.clock.monotonic(), name)) if moment == "before" else None
    )
    wanted, handed = [str(id) for id in sorted(old.store["tickets"])], list[str]()
    for page in source.pages("ticket_comments", None, lambda _: wanted):
        (lists,) = page.whole.values()
        times = [at for at, name in asked if name.split("/")[4] in lists]
        assert max(times) - min(times) < 2, "none of them waited a minute for another"
        handed += lists
    assert (handed, page.done) == (wanted, True)
    assert sorted(name.split("/")[4] for _, name in asked) == sorted(wanted), "each list is asked for once"


class Held:
    """Holds the last write of the first wave until the next is planned, and threads until there was a write."""

    def __init__(self, run: Steps, old: Sandbox, new: Sandbox) -> None:
        self.run, self.writes, self.units = run, 0, 0
        self.plans = self.planned()
        self.begun, self.ahead = threading.Event(), threading.Event()
        self.reached: list[bool] = []
        old.watchers.append(self.read)
        new.watchers.append(self.write)

    def planned(self) -> int:
        with Ledger(self.run.workspace.ledger) as ledger:
            return sum(command == "plan" for _, command, _, _ in ledger.history())

    def read(self, moment: str, name: str) -> None:
        if moment == "before" and name.endswith("/comments.json"):
            assert self.begun.wait(60)

    def write(self, moment: str, name: str) -> None:
        if moment == "after" or name.startswith("GET"):
            return
        self.units = self.units or self.run.saved_plan()["units"]
        self.writes += 1
        self.begun.set()
        if self.writes == self.units:
            self.reached.append(self.wait())

    def wait(self) -> bool:
        for _ in range(600):
            if self.planned() >= self.plans + 2:
                return True
            self.ahead.wait(0.1)
        return False


def all_read(run: Steps, old: Sandbox) -> Moved:
    """Return the plan of everything, whose threads must then be read again: the tickets have changed."""
    first = move(run, None, least=10_000)
    for ticket in old.store["tickets"].values():
        ticket.update(updated_at="2026-10-31T00:00:00Z", generated_timestamp=1793404800)
    return first


def test_what_a_run_that_was_cut_off_brought_is_written_before_anything_more_arrives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = small_desk(tickets=6)
    run = steps(tmp_path, old, new, monkeypatch, source={"options": {"comments": "ticket"}, "per_minute": 3})
    first = all_read(run, old)
    last, answered, written = f"/api/v2/tickets/{max(old.store['tickets'])}/comments.json", old.admit, threading.Event()
    old.admit = lambda box, request: Response("down", 502) if request.path == last else answered(box, request)
    with pytest.raises(VendorError):
        run.bring(run.source(), silent, chunk=OFTEN)
    old.admit, reached = answered, list[bool]()
    new.watchers.append(lambda moment, name: written.set() if name == "POST /api/v2/tickets" else None)

    def wait(moment: str, name: str) -> None:
        if (moment, name) == ("before", f"GET {last}"):
            reached.append(written.wait(60))

    old.watchers.append(wait)
    assert move(run, first.plan.digest, accept_losses=True, least=1).quarantined == 0
    assert reached
    assert all(reached), "the last thread is read when the first ticket is written"


def test_the_next_wave_is_planned_while_one_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (old, new), (_, wanted) = small_desk(tickets=6), small_desk(tickets=1)
    run = steps(tmp_path / "waves", old, new, monkeypatch, source={"options": {"comments": "ticket"}})
    first = all_read(run, old)
    held_back = Held(run, old, new)
    assert move(run, first.plan.digest, accept_losses=True, least=1).quarantined == 0
    assert held_back.reached == [True]
    verified, differences = run.verify()
    assert verified.proven, differences[:3]
    one_after_another(steps(tmp_path / "one", old, wanted, monkeypatch))
    assert held(new) == held(wanted)


def test_a_wave_cut_off_while_the_next_was_planned_is_ended_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old, new), (_, wanted) = small_desk(tickets=6), small_desk(tickets=1)
    run = steps(tmp_path / "waves", old, new, monkeypatch, source={"options": {"comments": "ticket"}})
    first = all_read(run, old)
    held_back, answered = Held(run, old, new), new.admit
    new.admit = lambda box, request: Response("down", 502) if held_back.reached else answered(box, request)
    with pytest.raises(VendorError):
        move(run, first.plan.digest, accept_losses=True, least=1)
    assert held_back.reached == [True]
    with pytest.raises(PlanError, match="cut off while it was carried out"):
        run.load(run.saved_plan()["digest"], accept_losses=True)
    new.admit = answered
    assert move(run, first.plan.digest, accept_losses=True, least=1).quarantined == 0
    verified, differences = run.verify()
    assert verified.proven, differences[:3]
    one_after_another(steps(tmp_path / "one", old, wanted, monkeypatch))
    assert held(new) == held(wanted)


def test_another_run_brings_what_has_changed_since_on_the_same_terms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = tiny_desk()
    run = steps(tmp_path, old, new, monkeypatch)
    first = move(run, None)
    move(run, first.plan.digest)
    calls = len(new.exchanges)
    assert move(run, first.plan.digest).written == 0
    assert [e for e in new.exchanges[calls:] if e.method != "GET"] == []
    old.store["tickets"][100].update(subject="Another matter", raw_subject="Another matter")
    old.store["tickets"][100].update(updated_at="2024-03-01T00:00:00Z", generated_timestamp=1709251200)
    assert move(run, first.plan.digest).written == 1
    assert "Another matter" in {ticket["subject"] for ticket in new.store["tickets"].values()}


@pytest.mark.parametrize("at", [2, 7, 11])
def test_a_run_that_lost_the_vendor_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    (old, new), (_, wanted) = tiny_desk(), tiny_desk()
    run, seen = steps(tmp_path / "waves", old, new, monkeypatch), [0]
    first = move(run, None)
    answered, away = new.admit, threading.Event()

    def admit(box: Sandbox, request: Request) -> Response | None:
        seen[0] += request.method != "GET"
        if seen[0] == at:
            away.set()
        return Response("down", 502) if away.is_set() and len(box.exchanges) < 10_000 else answered(box, request)

    new.admit = admit
    with pytest.raises(VendorError):
        move(run, first.plan.digest)
    new.admit = answered
    assert move(run, first.plan.digest).quarantined == 0
    one_after_another(steps(tmp_path / "one", old, wanted, monkeypatch))
    assert held(new) == held(wanted)


def test_what_was_refused_is_left_to_the_last_wave_and_lies_in_its_quarantine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = small_desk(tickets=6)
    wrong = {"freshdesk": {"ticket": {"status": {"values": {77: "open"}, "write": {"open": 77}}}}}
    run = steps(tmp_path, old, new, monkeypatch, overlay=wrong)
    result = moved(run, least=1)
    with Ledger(run.workspace.ledger) as ledger:
        last = {unit for unit, *_ in ledger.quarantined(result.plan.digest)}
        every = [unit for unit, *_ in ledger.quarantined()]
    assert len(last) == result.quarantined > 0
    assert all(every.count(unit) <= 2 for unit in last), "once in its own wave, once in the last"


# ---- when a wave is planned -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "waits", "again", "wanted"),
    [
        (100.0, 0.0, False, False),  # much is left to write
        (14.0, 0.0, False, True),  # the plan is ready when that is written
        (None, 0.0, False, False),  # nothing is written yet
        (14.0, 0.0, True, False),  # one is ready
        (30.0, 50.0, False, False),  # the quota waits: more will have arrived by the end of that
        (30.0, 14.0, False, True),  # in time for when it lets go
        (None, 14.0, False, True),
        (300.0, 14.0, False, False),  # the minute that comes has enough to do
        (30.0, 14.0, True, True),  # made too early: again, as it costs nothing
        (30.0, 3.0, True, False),  # that would cost something
        (30.0, 3.0, False, True),  # late, but there is none
    ],
)
def test_a_wave_is_planned_as_late_as_is_early_enough(
    left: float | None, waits: float, again: bool, wanted: bool
) -> None:
    assert due(left, waits, 10.0, again=again) is wanted


# ---- terms ----------------------------------------------------------------------------------------------------------


def plan_of(**changed: Any) -> dict[str, Any]:
    """Return what a saved plan says of losses and ends."""
    loss = {"kind": "ticket", "field": "ccs", "how": "dropped"}
    end = {"kind": "ticket", "action": "skip", "reason": "deleted at the source"}
    made = {"kind": "ticket", "action": "create", "reason": ""}
    whole = {"digest": "a" * 64, "files": {"kinds": "1"}, "losses": [loss], "dispositions": [end, made]}
    return whole | changed


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"losses": [{"kind": "ticket", "field": "ccs", "how": "truncated"}]}, "ticket.ccs is truncated"),
        ({"losses": [{"kind": "contact", "field": "phone", "how": "dropped"}]}, "contact.phone is dropped"),
        ({"dispositions": [{"kind": "ticket", "action": "manual", "reason": "too long"}]}, "ticket: manual (too long)"),
        ({"files": {"kinds": "2"}}, "mappings, manifests or policies have changed since"),
    ],
)
def test_whatever_a_plan_loses_beyond_the_terms_is_named(changed: dict[str, Any], named: str) -> None:
    assert Terms.of(plan_of()).beyond(plan_of(**changed)) == [named]


@pytest.mark.parametrize("reason", [WAITS, ASIDE, f"its ticket is not written: {WAITS}"])
def test_what_only_waits_for_a_later_wave_needs_nobodys_leave(reason: str) -> None:
    waits = plan_of(dispositions=[{"kind": "message", "action": "skip", "reason": reason}])
    assert Terms.of(plan_of()).beyond(waits) == []
    assert not Terms.of(waits).ends


def test_a_loss_that_nobody_has_read_of_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = tiny_desk()
    run = steps(tmp_path, old, new, monkeypatch)
    first = move(run, None)
    assert not any(e.method != "GET" for e in new.exchanges), "a plan to be read writes nothing"
    late = {**old.store["tickets"][101], "id": 102, "collaborator_ids": [2], "follower_ids": [2]}
    old.store["tickets"][102] = {**late, "updated_at": "2024-03-01T00:00:00Z", "generated_timestamp": 1709251200}
    with pytest.raises(PlanError, match=r"ticket\.followers is dropped.*migrator move --within") as refused:
        move(run, first.plan.digest)
    assert len(new.store["tickets"]) < 3
    digest = str(refused.value).rsplit("--within ", 1)[1].rstrip("`")
    assert move(run, digest).quarantined == 0
    assert len(new.store["tickets"]) == 3
    assert move(run, first.plan.digest).written == 0, "what was agreed to before still counts"


@pytest.mark.parametrize("named", ["", "abc", "0" * 12])
def test_terms_of_another_plan_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    run = steps(tmp_path, *tiny_desk(), monkeypatch)
    run.extract()
    run.plan()
    with pytest.raises(PlanError, match="the plan in the workspace is"):
        move(run, named)


def test_a_sample_cannot_be_moved_in_waves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = steps(tmp_path, *tiny_desk(), monkeypatch, select={"sample": 1})
    with pytest.raises(InputError, match="sample"):
        move(run, None)


# ---- what a wave may take -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def arrived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Steps]:
    """Return an account that was extracted whole."""
    with pytest.MonkeyPatch.context() as patch:
        run = steps(tmp_path_factory.mktemp("arrived"), *tiny_desk(), patch)
        run.extract()
        yield run


GROWING = {"tickets", "ticket_comments"}
BASE = frozenset(registry.connector("zendesk").manifest.streams) - GROWING


def waiting(run: Steps, done: set[str], *, until: str | None = None, before: str = "", last: bool = False) -> set[str]:
    """Return the tickets that wait, after ``before`` happened to the stage (and is undone again)."""
    arrivals, side = Arrivals(), run.project.source
    arrivals.done, arrivals.until = BASE | done, {"ticket_comments": until} if until else {}
    wave = Wave(arrivals, run.source(), side.connector.manifest, side.mapping, side.connector.kinds, last=last)
    with Stage(run.workspace.stage) as stage:
        stage.run("BEGIN")
        if before:
            stage.run(before)
        relation = wave.wait(stage)
        found = {id for (id,) in stage.rows(f"SELECT id FROM {relation}")} if relation else set()
        stage.run("ROLLBACK")
    return found


MARKS = 'raw."ticket_comments__whole"'


@pytest.mark.parametrize(
    ("before", "waits"),
    [
        ("", set()),
        (f"DELETE FROM {MARKS} WHERE id = '100'", {"100"}),
        (f"UPDATE {MARKS} SET updated_at = '2023-01-01T00:00:00Z' WHERE id = '101'", {"101"}),
        ("DELETE FROM blobs.raw WHERE id IN (SELECT min(id) FROM blobs.raw)", {"100"}),
        ("UPDATE blobs.raw SET digest = NULL, problem = 'gone'", set()),
    ],
    ids=["all is here", "a thread unread", "a thread of before its last change", "bytes not asked for", "bytes gone"],
)
def test_a_ticket_waits_until_its_thread_and_files_are_here(arrived: Steps, before: str, waits: set[str]) -> None:
    assert waiting(arrived, {"tickets"}, before=before) == waits


def test_a_list_at_its_end_and_one_in_order_of_time_tell_as_well_as_marks(arrived: Steps) -> None:
    gone = f"DELETE FROM {MARKS}"
    assert waiting(arrived, {"tickets"}, before=gone) == {"100", "101"}
    assert waiting(arrived, {"tickets", "ticket_comments"}, before=gone) == set()
    changed = "2024-01-02T08:00:00Z"
    assert waiting(arrived, {"tickets"}, until=changed, before=gone) == {"100", "101"}  # that second may not be over
    assert waiting(arrived, {"tickets"}, until="2024-01-02T08:00:01Z", before=gone) == set()


def test_nothing_waits_for_the_last_wave(arrived: Steps) -> None:
    assert waiting(arrived, set(), before=f"DELETE FROM {MARKS}", last=True) == set()


# Working hours wait for their days off as tickets do for their threads: both lists come with the first page of threads.
@pytest.mark.parametrize("missing", sorted(BASE - {"schedules", "holidays"}))
def test_no_wave_begins_before_everything_a_ticket_may_name_is_here(arrived: Steps, missing: str) -> None:
    arrivals, side = Arrivals(), arrived.project.source
    wave = Wave(arrivals, arrived.source(), side.connector.manifest, side.mapping, side.connector.kinds)
    arrivals.done = BASE
    assert wave.ready
    arrivals.done = BASE - {missing}
    assert not wave.ready


def test_the_terms_lie_in_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = steps(tmp_path, *tiny_desk(), monkeypatch)
    first = move(run, None)
    move(run, first.plan.digest)
    kept = json.loads((tmp_path / "terms.json").read_text(encoding="utf-8"))
    assert kept["plans"] == [first.plan.digest]
    assert ["message", "created_at", "reset"] in kept["losses"]
