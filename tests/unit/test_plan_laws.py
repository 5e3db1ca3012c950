"""Whatever an account holds: every record meets one end, every loss is counted, and the signature covers all of it."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections import Counter
from functools import cache
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from migrator import registry
from migrator.compile import name
from migrator.extract import canonicalize
from migrator.kinds import Field
from migrator.mapping import Mapping, overlay
from migrator.plan import Plan, Planner
from migrator.stage import Stage, html_form
from tests.unit.accounts import Account, accounts, put

ZENDESK, FRESHDESK = registry.connector("zendesk"), registry.connector("freshdesk")
KINDS, MANIFEST = ZENDESK.kinds, FRESHDESK.manifest
ARRIVES = ("create", "keep", "merge")
EXAMPLES = 60 if os.environ.get("MIGRATOR_TESTS") == "wide" else 4
FEW = {"phases": (Phase.explicit, Phase.generate)}  # a plan takes a second: what fails is not made smaller


def planned(
    stage: Stage,
    account: Account,
    *,
    backwards: bool = False,
    mapping: Mapping | None = None,
    there: Account | None = None,
    **how: Any,
) -> Plan:
    """Plan an account against a new Freshdesk account (or one that holds ``there``, in Freshdesk's words)."""
    mapping = mapping or FRESHDESK.mapping
    put(stage, account, backwards=backwards)
    canonicalize(stage, KINDS, ZENDESK.mapping, raw="raw", into="canonical")
    stage.schema("there", fresh=True)
    for stream, native in (there or {}).items():
        stage.put("there", stream, [(str(record["id"]), None, None, json.dumps(record)) for record in native])
    canonicalize(stage, KINDS, mapping, raw="there", into="found")
    files = {"mapping": hashlib.sha256(mapping.model_dump_json().encode()).hexdigest()}
    return Planner(stage, KINDS, MANIFEST, mapping, "zendesk", "found", **how).make(files=files)


def lines(stage: Stage) -> list[dict[str, Any]]:
    columns = ("kind", "id", "as_kind", "variant", "action", "reason", "target", "own", "owner", "payload")
    found = stage.rows(f"SELECT {', '.join(columns[:-1])}, CAST(payload AS VARCHAR) FROM plan.planned")
    return [
        {**dict(zip(columns, row, strict=True)), "payload": json.loads(row[-1]) if row[-1] else None} for row in found
    ]


def small(**more: Any) -> Account:
    """One ticket with a requester, and nothing else."""
    account: Account = {stream: [] for stream in ZENDESK.mapping.streams()}
    account["users"] = [{"id": 1, "role": "end-user", "name": "Ann", "email": "a@x.example", "active": True}]
    account["tickets"] = [{"id": 7, "subject": "s", "status": "open", "requester_id": 1, "via": {"channel": "email"}}]
    return account | more


# ---- everything is accounted for ------------------------------------------------------------------------------------


def source_counts(account: Account) -> dict[str, int]:
    users = account["users"]
    return {
        "custom_field": sum(len(account[s]) for s in ("ticket_fields", "user_fields", "organization_fields")),
        "organization": len(account["organizations"]),
        "contact": sum(u["role"] == "end-user" for u in users),
        "agent": sum(u["role"] in ("agent", "admin") for u in users),
        "group": len(account["groups"]),
        "membership": len(account["group_memberships"]),
        "tag": len(account["tags"]),
        "ticket_form": len(account["ticket_forms"]),
        "ticket": len(account["tickets"]),
        "message": len(account["ticket_comments"]),
        "attachment": sum(len(c["attachments"]) for c in account["ticket_comments"]),
        "satisfaction": len(account["satisfaction_ratings"]),
    }


def check_ends(stage: Stage, account: Account, plan: Plan) -> None:
    """Every record of the source meets exactly one end, with a reason where it is not written."""
    assert plan.counts == source_counts(account)
    assert plan.unaccounted == {}
    ends: Counter[str] = Counter()
    for line in plan.dispositions:
        ends[line.kind] += line.count
        assert line.reason or line.action == "create", line
    assert {kind: count for kind, count in plan.counts.items() if count} == dict(ends)


def check_references(stage: Stage) -> None:
    """Nothing that is written names a record that does not arrive."""
    planned = lines(stage)
    arrived: dict[str, set[str]] = {kind: set() for kind in KINDS.kinds}
    by_id = {(line["as_kind"], line["id"]): line for line in planned if line["action"] != "stand_in"}
    for line in planned:
        if line["action"] in ARRIVES:
            arrived[line["as_kind"]].add(line["id"])
        if line["action"] == "merge":
            first = by_id[line["as_kind"], line["target"]]
            assert first["action"] in ("create", "keep"), (line, first)
    for line in planned:
        if line["action"] != "create":
            assert line["payload"] is None
            continue
        assert line["payload"] is not None, line
        kind = KINDS.kinds[line["as_kind"]]
        variant = next(v for v in FRESHDESK.mapping.kinds[line["as_kind"]] if v.name == line["variant"])
        if kind.owner:
            assert line["owner"] in arrived[kind.fields[kind.owner].to[0]], line
        for label, verb in variant.fields.items():
            spec, held = kind.fields[label], line["payload"]
            for step in (verb.path or "").split("."):
                held = held.get(step) if isinstance(held, dict) else None
            if (
                spec.to
                and verb.path
                and not verb.path.startswith(("@", "^"))
                and label != kind.owner
                and held is not None
            ):
                for one in held if isinstance(held, list) else [held]:
                    assert any(str(one) in arrived[to] for to in spec.to), (line, label)
            if verb.keyed and held:
                own = {s.id for s in MANIFEST.setup}
                assert set(held) <= arrived["custom_field"] | own, (line, label)


# ---- losses are counted again, in Python ----------------------------------------------------------------------------


def _rows(stage: Stage, relation: str, labels: list[str], more: str = "") -> dict[Any, dict[str, Any]]:
    columns = ", ".join(["id", *([more] if more else []), *map(name, labels)])
    found = {}
    for row in stage.rows(f"SELECT {columns} FROM {relation}"):
        key = (row[1], row[0]) if more else row[0]
        found[key] = dict(zip(labels, row[2 if more else 1 :], strict=True))
    return found


def _differ(spec: Field, was: Any, becomes: Any) -> bool:
    if was is None or (spec.type == "boolean" and not was) or was == becomes:
        return False
    return not (spec.type == "html" and becomes is not None and html_form(was) == html_form(becomes))


def recount(stage: Stage) -> dict[tuple[str, str], int]:
    """Return how many records lose something, by kind and field."""
    lost: Counter[tuple[str, str]] = Counter()
    planned = lines(stage)
    for kind_name, kind in KINDS.kinds.items():
        was = _rows(stage, f"canonical.{name(kind_name)}", list(kind.fields))
        for line in (
            line for line in planned if line["kind"] == kind_name and line["action"] in ARRIVES and not line["own"]
        ):
            there = KINDS.kinds[line["as_kind"]]
            predicted = _predicted(stage, line["as_kind"])[kind_name, line["id"]]
            for label, spec in kind.fields.items():
                if spec.private or (label == kind.owner and line["action"] == "create"):
                    continue
                before, after = was[line["id"]][label], predicted.get(label) if label in there.fields else None
                if line["action"] != "create" and (spec.to or spec.type in ("map", "timestamp")):
                    continue
                if spec.type == "map":
                    mine, theirs = json.loads(before or "{}"), json.loads(after or "{}")
                    lost[kind_name, label] += sum(mine[key] != theirs.get(key) for key in mine)
                elif _differ(spec, before, after):
                    lost[kind_name, label] += 1
    return {key: count for key, count in lost.items() if count}


def _predicted(stage: Stage, kind_name: str) -> dict[Any, dict[str, Any]]:
    cached: dict[str, Any] = stage.__dict__.setdefault("_predicted_rows", {})
    if kind_name not in cached:
        cached[kind_name] = _rows(stage, f"predicted.{name(kind_name)}", list(KINDS.kinds[kind_name].fields), "_kind")
    return cached[kind_name]  # type: ignore[no-any-return]


def check_losses(stage: Stage, plan: Plan) -> None:
    stage.__dict__.pop("_predicted_rows", None)
    counted: Counter[tuple[str, str]] = Counter()
    for loss in plan.losses:
        assert 0 < loss.count
        assert loss.because
        assert loss.examples
        counted[loss.kind, loss.field.split(": ")[0]] += loss.count
    assert dict(counted) == recount(stage)


@settings(max_examples=EXAMPLES, **FEW)
@given(account=accounts(), stand_in=st.booleans())
def test_every_record_meets_one_end_and_every_loss_is_counted(stage: Stage, account: Account, stand_in: bool) -> None:
    plan = planned(stage, account, stand_in=stand_in)
    check_ends(stage, account, plan)
    check_references(stage)
    check_losses(stage, plan)


@settings(max_examples=1, **FEW)
@given(account=accounts())
def test_the_same_account_has_the_same_digest_whatever_its_order(stage: Stage, account: Account) -> None:
    first = planned(stage, account)
    again = planned(stage, account, backwards=True)
    assert again.digest == first.digest
    assert again.as_json() == first.as_json()


# ---- the signature --------------------------------------------------------------------------------------------------

ORGANIZATION = {"id": 2, "name": "Org", "tags": ["a"], "domain_names": ["x.example"], "notes": None, "details": "d"}


@cache
def _digest_of_the_desk() -> tuple[Account, str]:
    account = small(
        organizations=[ORGANIZATION],
        ticket_comments=[
            {
                "id": 9,
                "_parent": 7,
                "author_id": 1,
                "html_body": "<p>x</p>",
                "public": True,
                "attachments": [],
                "created_at": "2020-01-01T00:00:00Z",
            }
        ],
    )
    account["users"][0]["organization_id"] = 2
    with Stage(":memory:", threads=1) as stage:
        return account, planned(stage, account).digest


@pytest.mark.parametrize(
    ("stream", "change"),
    [
        ("tickets", {"subject": "t"}),
        ("organizations", {"details": None, "notes": "d"}),  # one text, in the next column
        ("ticket_comments", {"created_at": "2020-01-01T00:00:01Z"}),
        ("organizations", {"tags": []}),  # lost either way: what the report says of it is another
        ("organizations", {"tags": ["b"]}),
    ],
)
def test_another_record_is_another_plan(stage: Stage, stream: str, change: dict[str, Any]) -> None:
    account, digest = _digest_of_the_desk()
    changed = copy.deepcopy(account)
    changed[stream][0] |= change
    assert planned(stage, changed).digest != digest


def test_another_mapping_is_another_plan(stage: Stage) -> None:
    account, digest = _digest_of_the_desk()
    other = overlay(FRESHDESK.mapping, {"ticket": {"status": {"write": {"hold": 2}}}}, "m.yaml")
    assert planned(stage, account, mapping=other).digest != digest


def test_a_record_more_is_another_plan(stage: Stage) -> None:
    account, digest = _digest_of_the_desk()
    more = copy.deepcopy(account)
    more["tags"].append({"name": "x", "count": 1})
    assert planned(stage, more).digest != digest


# ---- single ends ----------------------------------------------------------------------------------------------------


def ends(stage: Stage, kind: str) -> dict[str, tuple[str, str]]:
    return {
        line["id"]: (line["action"], line["reason"])
        for line in lines(stage)
        if line["kind"] == kind and not line["own"]
    }


def person(id: int, **more: Any) -> dict[str, Any]:
    return {"id": id, "role": "end-user", "name": f"P{id}", "email": f"{id}@x.example", "active": True, **more}


def test_people_with_one_address_become_one(stage: Stage) -> None:
    planned(
        stage,
        small(
            users=[
                person(1, email="a@x.example"),
                person(2, email=" A@X.example "),
                person(3, email=None),
                person(4, email=None),
            ]
        ),
    )
    found = ends(stage, "contact")
    assert found["1"][0] == "create"
    assert found["2"] == ("merge", "the same as record 1")
    assert [found[id][0] for id in ("3", "4")] == ["create", "create"]


@pytest.mark.parametrize("gone", [{"active": False}, {"name": None}], ids=["deleted", "nameless"])
def test_nobody_is_merged_into_somebody_who_does_not_arrive(stage: Stage, gone: dict[str, Any]) -> None:
    account = small(users=[person(1, email="a@x.example", **gone), person(2, email="a@x.example")])
    account["tickets"][0]["requester_id"] = 2
    planned(stage, account)
    check_references(stage)
    assert ends(stage, "contact")["2"][0] == "create"
    assert ends(stage, "ticket")["7"][0] == "create"


def test_an_agent_without_a_seat_becomes_a_contact_or_is_left_to_a_person(stage: Stage) -> None:
    account = small(users=[person(1, role="agent")])
    plan = planned(stage, account)
    assert [(line.kind, line.action) for line in plan.dispositions if line.kind == "agent"] == [("agent", "stand_in")]
    assert ends(stage, "ticket")["7"][0] == "create"
    planned(stage, account, stand_in=False)
    assert ends(stage, "agent")["1"] == ("manual", "needs a seat at Freshdesk")
    assert ends(stage, "ticket")["7"] == ("manual", "its requester is not written")


def test_an_agent_with_the_address_of_a_contact_is_one_with_it(stage: Stage) -> None:
    plan = planned(stage, small(users=[person(1, email="a@x.example"), person(2, role="agent", email="A@x.example")]))
    assert plan.unaccounted == {}
    check_references(stage)


def test_a_deleted_person_is_left_unless_a_ticket_names_them(stage: Stage) -> None:
    planned(stage, small(users=[person(1, active=False), person(2, active=False)]))
    found = ends(stage, "contact")
    assert found["1"][0] == "create"
    assert found["2"] == ("skip", "deleted at the source, and nothing refers to it")


def test_what_hangs_on_a_record_that_is_not_written_says_so(stage: Stage) -> None:
    comment = {
        "id": 9,
        "_parent": 7,
        "author_id": 1,
        "html_body": "x",
        "public": True,
        "attachments": [{"id": 91, "file_name": "a", "size": 1}],
    }
    account = small(ticket_comments=[comment, {**comment, "id": 10, "_parent": 8, "attachments": []}])
    account["tickets"][0]["status"] = "deleted"
    planned(stage, account)
    assert ends(stage, "ticket")["7"] == ("skip", "deleted at the source")
    assert ends(stage, "message")["9"] == ("skip", "its ticket is not written: deleted at the source")
    assert ends(stage, "message")["10"] == ("skip", "its ticket is not among the records")
    assert ends(stage, "attachment")["91"][0] == "skip"


def test_a_ticket_without_a_requester_is_left_to_a_person_with_the_reason(stage: Stage) -> None:
    account = small()
    account["tickets"] = [
        {**account["tickets"][0], "id": 7, "requester_id": None},
        {**account["tickets"][0], "id": 8, "requester_id": 99},
    ]
    planned(stage, account)
    assert ends(stage, "ticket") == {
        "7": ("manual", "no requester, which it needs"),
        "8": ("manual", "its requester is not written"),
    }


def test_bytes_beyond_the_limit_are_left_and_whatever_fits_goes(stage: Stage) -> None:
    sizes = [15, 10, 5, 1]
    files = [
        {"id": 91 + 3 * n, "file_name": f"{n}", "size": size * 2**20, "content_url": "u"}
        for n, size in enumerate(sizes)
    ]
    planned(
        stage,
        small(
            ticket_comments=[
                {"id": 9, "_parent": 7, "author_id": 1, "html_body": "x", "public": True, "attachments": files}
            ]
        ),
    )
    assert [ends(stage, "attachment")[str(file["id"])][0] for file in files] == ["create", "manual", "create", "manual"]


def test_bytes_that_could_not_be_read_are_left_with_the_vendors_answer(stage: Stage) -> None:
    files = [{"id": 93, "file_name": "a", "size": 1, "content_url": "u"}]
    planned(
        stage,
        small(
            ticket_comments=[
                {"id": 9, "_parent": 7, "author_id": 1, "html_body": "x", "public": True, "attachments": files}
            ]
        ),
    )
    assert ends(stage, "attachment")["93"] == ("manual", "its bytes could not be read: 404")


def test_what_the_destination_has_already_is_kept_and_its_own_values_are_a_loss(stage: Stage) -> None:
    there: Account = {"companies": [{"id": 5, "name": "ORG ", "description": "theirs", "custom_fields": {}}]}
    plan = planned(stage, small(organizations=[ORGANIZATION]), there=there)
    line = next(line for line in lines(stage) if line["kind"] == "organization")
    assert (line["action"], line["target"]) == ("keep", "5")
    assert {loss.field for loss in plan.losses if loss.kind == "organization" and loss.how == "merged"} >= {"details"}
    check_losses(stage, plan)


def test_a_plan_makes_no_call_and_no_kind_without_a_word(stage: Stage) -> None:
    plan = planned(stage, small(ticket_forms=[{"id": 3, "name": "F"}], tags=[{"name": "t", "count": 1}]))
    said = {(line.kind, line.action) for line in plan.dispositions}
    assert {("ticket_form", "manual"), ("tag", "skip")} <= said
    assert plan.units == sum(plan.calls.endpoints.values())
