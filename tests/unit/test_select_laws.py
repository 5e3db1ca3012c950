"""Whatever is selected: every record meets one end, references stay whole, and two steps arrive where one does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrator.choice import UNSELECTED, Choice
from migrator.errors import InputError
from migrator.extract import canonicalize
from migrator.plan import Plan
from migrator.project import open_project
from migrator.select import Select, Selection
from migrator.stage import Stage
from tests.unit.accounts import Account, accounts, put
from tests.unit.test_plan_laws import (
    ARRIVES,
    EXAMPLES,
    FEW,
    KINDS,
    ZENDESK,
    check_ends,
    check_losses,
    lines,
    planned,
    small,
)
from tests.unit.test_project import written

Line = dict[str, Any]
SEATS: Account = {
    "agents": [{"id": 77, "contact": {"name": "Ann", "email": "a@x.example"}, "type": "support_agent"}],
    "companies": [{"id": 5, "name": "Ann", "description": "theirs", "custom_fields": {}}],
}


def selection(**select: Any) -> Selection:
    return Selection(Select.model_validate(select), KINDS, ZENDESK.mapping, "migration.yaml")


def by_id(stage: Stage) -> dict[tuple[str, str], Line]:
    return {(line["kind"], line["id"]): line for line in lines(stage) if line["action"] != "stand_in"}


def arrived(stage: Stage) -> set[tuple[str, str, str]]:
    """Return what is at the destination once the plan is carried out."""
    return {
        (line["kind"], line["id"], line["as_kind"])
        for line in by_id(stage).values()
        if line["action"] in (*ARRIVES, "update") and not line["own"]
    }


def selected(stage: Stage, kind: str = "ticket") -> set[str]:
    """Return the ids that the selection did not leave out and nothing else did."""
    return {id for (of, id), line in by_id(stage).items() if of == kind and line["action"] != "skip"}


def there(stage: Stage) -> list[tuple[Any, ...]]:
    """Return what the ledger would know after a load of the plan in the stage."""
    return [
        (line["kind"], line["id"], f"t{line['id']}", None, "created", line["as_kind"])
        for line in lines(stage)
        if line["action"] == "create"
    ]


# Not `group` or `tags` by name: what no record has is refused, and made-up accounts may be empty.
selects = st.fixed_dictionaries(
    {},
    optional={
        "where": st.sampled_from(
            [
                {"status": ["open", "pending"]},
                {"status": "hold", "priority": ["low", None]},
                {"created_at": {"since": "2020-06-01"}},
                [{"status": ["open", "solved"]}, {"created_at": {"until": "2020-02-29"}}],
                {"group": None},
            ]
        ),
        "without": st.sampled_from([{"priority": "urgent"}, {"type": ["task", "question"]}]),
        "sample": st.integers(1, 4),
        "people": st.sampled_from(["needed", "all"]),
    },
)
seats = st.sampled_from(["stand_in", "manual"])


@settings(max_examples=EXAMPLES, **FEW)
@given(account=accounts(), select=selects, other=selects, without_seat=seats, seated=st.booleans())
def test_references_stay_whole_and_steps_arrive_where_one_plan_does(
    stage: Stage, account: Account, select: dict[str, Any], other: dict[str, Any], without_seat: str, seated: bool
) -> None:
    more: dict[str, Any] = {"without_seat": without_seat, "there": SEATS if seated else None}
    planned(stage, account, **more)
    whole, at_once = by_id(stage), arrived(stage)

    plan = planned(stage, account, selection=selection(**select), **more)
    check_ends(stage, account, plan)
    if not seated:  # the losses of a contact who is kept as an agent are not counted
        check_losses(stage, plan)
    part = by_id(stage)
    assert part.keys() == whole.keys()
    for key, line in part.items():
        before = whole[key]
        if line["action"] in ("skip", "manual"):
            assert before["action"] == line["action"] or "select" in line["reason"], (line, before)
        else:  # what is written is written just as if everything were
            assert {**line, "reason": ""} == {**before, "reason": ""}

    known = there(stage)
    plan = planned(stage, account, selection=selection(**other), identities=known, **more)
    check_ends(stage, account, plan)
    ends = by_id(stage)
    assert {ends[kind, id]["action"] for kind, id, *_ in known} <= {"keep", "update"}  # never left out again
    for line in ends.values():
        if line["action"] == "merge":
            like = [ends[of, line["target"]] for of in (line["kind"], line["as_kind"]) if (of, line["target"]) in ends]
            assert {one["action"] for one in like} & {"create", "keep"}, line  # who stands in may be another's like

    known += there(stage)
    assert len({(kind, id) for kind, id, *_ in known}) == len(known)  # nothing is written twice
    planned(stage, account, identities=known, **more)
    assert arrived(stage) == at_once


def chosen(stage: Stage, select: Selection) -> set[str]:
    """Return the tickets that are selected from the canonical records in the stage."""
    stage.schema("plan", fresh=True)
    stage.run("CREATE TABLE plan.known (kind VARCHAR, id VARCHAR, target VARCHAR, as_kind VARCHAR, variant VARCHAR)")
    stage.run(f"CREATE TABLE plan.unselected ({UNSELECTED})")
    Choice(select, stage).make()
    left = "SELECT id FROM plan.unselected WHERE kind = 'ticket'"
    rows = stage.rows(f"SELECT id FROM canonical.ticket WHERE NOT COALESCE(deleted, FALSE) AND id NOT IN ({left})")
    return {id for (id,) in rows}


def staged(stage: Stage, account: Account, *, backwards: bool = False) -> None:
    put(stage, account, backwards=backwards)
    canonicalize(stage, KINDS, ZENDESK.mapping, raw="raw", into="canonical")


@settings(max_examples=3 * EXAMPLES, **FEW)
@given(account=accounts(), size=st.integers(1, 6))
def test_a_sample_has_its_size_is_the_same_again_and_grows(stage: Stage, account: Account, size: int) -> None:
    staged(stage, account)
    available = chosen(stage, selection())
    some = [chosen(stage, selection(sample=size)), chosen(stage, selection(sample=size + 1))]
    staged(stage, account, backwards=True)
    assert len(some[0]) == min(size, len(available))
    assert chosen(stage, selection(sample=size)) == some[0]
    assert some[0] <= some[1] <= available


def test_a_sample_shows_what_is_rare(stage: Stage) -> None:
    tickets = [{**small()["tickets"][0], "id": id} for id in range(100, 200)]
    tickets[41]["status"] = "hold"
    tickets[42]["custom_fields"] = [{"id": 31, "value": "x"}]
    tickets[43]["brand_id"] = 360001
    field = {"id": 31, "type": "text", "title": "Order", "active": True}
    staged(stage, small(tickets=tickets, ticket_fields=[field]))
    some = chosen(stage, selection(sample=5))
    assert {"141", "142", "143"} < some
    assert len(some) == 5


# ---- one desk, looked at closely ------------------------------------------------------------------------------------


def person(id: int, **more: Any) -> Line:
    return {"id": id, "role": "end-user", "name": f"P{id}", "email": f"{id}@x.example", "active": True, **more}


def ticket(id: int, requester: int, **more: Any) -> Line:
    return {"id": id, "subject": "s", "status": "open", "requester_id": requester, "via": {"channel": "email"}, **more}


DESK = small(
    users=[
        person(1, organization_id=50), person(2), person(3), person(4, organization_id=51), person(5),
        person(6, email="2@X.example", name="P2 again"),
        person(11, role="agent"), person(12, role="agent"), person(13, role="agent"), person(14, role="admin"),
    ],
    organizations=[{"id": 50, "name": "Firm"}, {"id": 51, "name": "Other"}],
    groups=[{"id": 20, "name": "Support"}, {"id": 21, "name": "Sales"}],
    group_memberships=[{"id": 90, "group_id": 20, "user_id": 13}, {"id": 91, "group_id": 21, "user_id": 14}],
    tickets=[
        ticket(100, 1, group_id=20, tags=["vip"], created_at="2024-01-31T23:30:00Z", brand_id=360001),
        ticket(101, 4, group_id=21, status="closed", tags=["vip", "spam"], created_at="2024-02-01T00:00:00Z"),
        ticket(102, 5, status="pending", organization_id=51, created_at="2023-01-01T00:00:00Z"),
        ticket(103, 3, status="deleted", created_at="2024-02-02T00:00:00Z"),
    ],
    ticket_comments=[
        {"id": 900, "_parent": 100, "author_id": 2, "html_body": "x", "public": True, "attachments": []},
        {"id": 901, "_parent": 100, "author_id": 11, "html_body": "x", "public": True, "attachments": []},
        {"id": 902, "_parent": 101, "author_id": 12, "html_body": "x", "public": True, "attachments": []},
    ],
)  # fmt: skip


@pytest.fixture(scope="module")
def desk() -> Iterator[Stage]:
    with Stage(":memory:", threads=1) as open_stage:
        staged(open_stage, DESK)
        yield open_stage


@pytest.mark.parametrize(
    ("select", "tickets"),
    [
        ({}, {100, 101, 102}),
        ({"where": {"status": "open"}}, {100}),
        ({"where": {"status": ["open", "closed"]}}, {100, 101}),
        ({"where": {"group": "Support"}}, {100}),
        ({"where": {"group": ["Sales", None]}}, {101, 102}),
        ({"where": {"group": "20"}}, {100}),
        ({"where": {"tags": "vip"}, "without": {"tags": ["spam"]}}, {100}),
        ({"where": {"tags": None}}, {102}),
        ({"where": {"brand": 360001}}, {100}),
        ({"where": {"organization": "Other"}}, {102}),
        ({"where": {"requester": "4@x.example"}}, {101}),
        ({"where": {"created_at": {"since": "2024-01-31"}}}, {100, 101}),
        ({"where": {"created_at": {"since": "2024-01-31T23:30:00Z", "until": "2024-01-31"}}}, {100}),
        ({"where": {"created_at": {"until": "2024-02-01"}}}, {100, 101, 102}),
        ({"where": {"created_at": {"since": "2024-02-01T01:00:00+02:00"}}}, {100, 101}),
        ({"where": [{"status": "pending"}, {"group": "Sales"}]}, {101, 102}),
    ],
)
def test_conditions(desk: Stage, select: dict[str, Any], tickets: set[int]) -> None:
    assert chosen(desk, selection(**select)) == {str(id) for id in tickets}


def reasons(plan: Plan, kind: str) -> set[str]:
    return {line.reason for line in plan.dispositions if line.kind == kind and line.action == "skip"}


def test_people_come_where_a_selected_record_names_them(stage: Stage) -> None:
    plan = planned(stage, DESK, selection=selection(where={"group": "Support"}))
    assert selected(stage, "contact") == {"1", "2", "6"}  # 6 is 2 again, and merged
    assert selected(stage, "organization") == {"50"}
    assert selected(stage, "agent") == {"11"}
    assert selected(stage, "group") == {"20", "21"}
    assert selected(stage, "message") == {"900", "901"}
    assert reasons(plan, "ticket") == {"not selected: group", "deleted at the source"}
    assert reasons(plan, "message") == {"its ticket is not written: not selected: group"}
    assert reasons(plan, "contact") == {"not selected: no selected ticket needs it"}


def test_everybody_comes_where_that_is_wanted(stage: Stage) -> None:
    planned(stage, DESK, selection=selection(where={"group": "Support"}, people="all"))
    assert selected(stage, "contact") == {"1", "2", "3", "4", "5", "6"}
    assert selected(stage, "ticket") == {"100"}


def test_people_nobody_needs_stay_though_every_ticket_comes(stage: Stage) -> None:
    plan = planned(stage, DESK, selection=selection(people="needed"))
    assert selected(stage, "contact") == {"1", "2", "4", "5", "6"}
    assert reasons(plan, "contact") == {"not selected: no ticket needs it"}


def test_who_has_a_seat_stays_in_the_groups(stage: Stage) -> None:
    agents = [{"id": 77, "contact": {"name": "P13", "email": "13@x.example"}, "type": "support_agent"}]
    planned(stage, DESK, there={"agents": agents}, selection=selection(sample=1))
    ends = by_id(stage)
    assert (ends["agent", "13"]["action"], ends["membership", "90"]["action"]) == ("keep", "create")
    assert ends["membership", "91"]["reason"] == "its agent is not selected"


@pytest.mark.parametrize("without_seat", ["stand_in", "create"])
def test_no_seat_and_no_stand_in_is_made_for_who_only_belongs_to_a_group(stage: Stage, without_seat: str) -> None:
    planned(stage, DESK, without_seat=without_seat, selection=selection(where={"group": "Support"}))
    assert by_id(stage)["agent", "14"]["action"] == "skip"


# ---- mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("select", "says", "at"),
    [
        ({"kind": "tickt"}, "'tickt' is not a kind; did you mean 'ticket'?", '"kind"'),
        ({"kind": "message"}, "a message goes with its ticket; select by 'ticket'", '"kind"'),
        ({"were": {}}, "'were' is not a key here; did you mean 'where'?", '"were"'),
        ({"where": {"stauts": "open"}}, "a ticket has no field 'stauts'; did you mean 'status'?", '"stauts"'),
        ({"where": {"custom": "x"}}, "records cannot be selected by 'custom'", '"custom"'),
        ({"where": {"status": []}}, "'status' names no value", '"status"'),
        ({"where": {"status": {"since": "2024-01-01"}}}, "since and until are for dates", '"status"'),
        ({"where": {"created_at": "2024-01-01"}}, "a date takes {since: DATE, until: DATE}", '"created_at"'),
        ({"where": {"created_at": {"from": "2024-01-01"}}}, "'from' is not a key here", '"from"'),
        ({"where": {"created_at": {"since": "2024-1-1"}}}, "since: '2024-1-1' is no date", '"since"'),
        ({"where": {"created_at": {"since": "2024-02-30"}}}, "since: '2024-02-30' is no date", '"since"'),
        ({"where": {"created_at": {"since": "20240101"}}}, "since: '20240101' is no date", '"since"'),
        (
            {"where": {"created_at": {"since": "2024-02-01", "until": "2024-01-01"}}},
            "'until' is before 'since'",
            '"until"',
        ),
        ({"where": [{"status": "open"}, {"gruop": "x"}]}, "did you mean 'group'?", '"gruop"'),
        ({"where": [{}]}, "an empty one would select everything", '"where"'),
        ({"sample": 0}, "greater than or equal to 1", '"sample"'),
        ({"sample": "50"}, "valid integer", '"sample"'),
        ({"people": "some"}, "'needed' or 'all'", '"people"'),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, select: Any, says: str, at: str) -> None:
    folder = written(tmp_path, select=select)
    with pytest.raises(InputError) as caught:
        open_project(folder)
    text = (folder / "migration.yaml").read_text(encoding="utf-8").split("\n")
    assert says in str(caught.value)
    assert caught.value.file == str(folder / "migration.yaml")
    assert caught.value.line == next(n for n, line in enumerate(text, 1) if at in line)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ({"group": ["Suport"]}, "no group is 'Suport'; did you mean 'Support'?"),
        ({"status": "opne"}, "no ticket's status is 'opne'; did you mean 'open'?"),
        ({"tags": ["VIP"]}, "no ticket's tags is 'VIP'"),
        ({"brand": 36000}, "no brand is '36000'; did you mean '360001'?"),
        ({"requester": "9@x.example"}, "no contact or agent is '9@x.example'; did you mean"),
    ],
)
def test_a_value_that_no_record_has_is_named_with_its_line(
    desk: Stage, tmp_path: Path, where: dict[str, Any], says: str
) -> None:
    project = open_project(written(tmp_path, select={"where": where}))
    with pytest.raises(InputError) as caught:
        chosen(desk, project.selection)
    text = (tmp_path / "migration.yaml").read_text(encoding="utf-8").split("\n")
    assert says in str(caught.value)
    assert json.dumps(next(iter(where.values()))).strip("[]") in text[(caught.value.line or 0) - 1]


def test_a_word_of_the_mapping_is_no_mistake_though_no_ticket_has_it(desk: Stage) -> None:
    assert chosen(desk, selection(where={"status": "hold"})) == set()


def test_dates_may_stand_in_yaml_as_they_are(desk: Stage, tmp_path: Path) -> None:
    file = written(tmp_path) / "migration.yaml"
    plain = file.read_text(encoding="utf-8")
    more = '"select": {"where": {"created_at": {"since": 2024-01-31, "until": 2024-02-01T02:00:00+02:00}}}'
    file.write_text(plain.rstrip().removesuffix("}") + f", {more}}}", encoding="utf-8")
    assert chosen(desk, open_project(tmp_path).selection) == {"100", "101"}
    file.write_text(plain.rstrip().removesuffix("}") + f",\n{more.replace('01-31', '02-30')}}}", encoding="utf-8")
    with pytest.raises(InputError, match="day"):
        open_project(tmp_path)


def test_one_plan_may_have_another_sample_and_another_first_day() -> None:
    whole = selection(where=[{"status": "open"}, {"created_at": {"since": "2023-01-01", "until": "2024-12-31"}}])
    narrowed = whole.narrowed(sample=3, since="2024-01-01").select
    assert narrowed.sample == 3
    assert narrowed.where == (
        {"status": "open", "created_at": {"since": "2024-01-01"}},
        {"created_at": {"since": "2024-01-01", "until": "2024-12-31"}},
    )
    assert whole.narrowed().select == whole.select
    with pytest.raises(InputError, match="--since: 'yesterday' is no date"):
        whole.narrowed(since="yesterday")
