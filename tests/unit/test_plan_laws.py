"""Whatever an account holds: every record meets one end, every loss is counted, and the signature covers all of it."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
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


CUSTOMIZATIONS = {
    "schedule": "schedules",
    "holiday": "holidays",
    "brand": "brands",
    "role": "custom_roles",
    "status": "custom_statuses",
    "dynamic_content": "dynamic_content_items",
    "email_address": "recipient_addresses",
    "form_condition": "form_conditions",
    "webhook": "webhooks",
    "trigger": "triggers",
    "automation": "automations",
    "macro": "macros",
    "view": "views",
    "sla_policy": "sla_policies",
}


def source_counts(account: Account) -> dict[str, int]:
    users = account["users"]
    return {
        "custom_field": sum(len(account[s]) for s in ("ticket_fields", "user_fields", "organization_fields")),
        "organization": len(account["organizations"]),
        "contact": sum(u["role"] == "end-user" for u in users),
        "agent": sum(u["role"] in ("agent", "admin") for u in users),
        "signature": sum(
            u["role"] in ("agent", "admin") and bool(u.get("signature")) and u.get("active") is not False for u in users
        ),
        "group": len(account["groups"]),
        "membership": len(account["group_memberships"]),
        "tag": len(account["tags"]),
        "ticket_form": len(account["ticket_forms"]),
        "ticket": len(account["tickets"]),
        "message": len(account["ticket_comments"]),
        "attachment": sum(len(c["attachments"]) for c in account["ticket_comments"]),
        "satisfaction": len(account["satisfaction_ratings"]),
        **dict.fromkeys(set(ZENDESK.kinds.kinds) - set(ZENDESK.mapping.kinds), 0),  # Zendesk gives none of them
        **{kind: len(account.get(stream, ())) for kind, stream in CUSTOMIZATIONS.items()},
    }


def check_ends(stage: Stage, account: Account, plan: Plan) -> None:
    """Every record of the source meets exactly one end, with a reason where it is not written."""
    assert {kind: n for kind, n in plan.counts.items() if n or kind in source_counts(account)} == source_counts(account)
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
@given(account=accounts(), without_seat=st.sampled_from(["stand_in", "manual"]))
def test_every_record_meets_one_end_and_every_loss_is_counted(
    stage: Stage, account: Account, without_seat: str
) -> None:
    plan = planned(stage, account, without_seat=without_seat)
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


# ---- single ends: one desk in which each of them happens ----------------------------------------------------------


def person(id: int, **more: Any) -> dict[str, Any]:
    return {"id": id, "role": "end-user", "name": f"P{id}", "email": f"{id}@x.example", "active": True, **more}


def ticket(id: int, requester: int | None, **more: Any) -> dict[str, Any]:
    return {"id": id, "subject": "s", "status": "open", "requester_id": requester, "via": {"channel": "email"}, **more}


def comment(id: int, parent: int, *files: dict[str, Any]) -> dict[str, Any]:
    return {"id": id, "_parent": parent, "author_id": 1, "html_body": "x", "public": True, "attachments": list(files)}


def file(id: int, megabytes: int) -> dict[str, Any]:
    return {"id": id, "file_name": str(id), "size": megabytes * 2**20, "content_url": "u"}


DESK = small(
    users=[
        person(1, email="a@x.example"), person(2, email=" A@X.example "), person(3, email=None), person(4, email=None),
        person(11, email="b@x.example", active=False), person(12, email="b@x.example"),
        person(13, email="c@x.example", name=None), person(14, email="c@x.example"),
        person(21, role="agent", signature="Yours"), person(22, role="agent", email="A@x.example"),
        person(23, role="admin", email="21@x.example", signature="Mine"),
        person(31, active=False), person(32, active=False),
    ],
    tickets=[
        ticket(701, 1), ticket(702, 1, status="deleted"), ticket(703, None), ticket(704, 99), ticket(705, 21),
        ticket(706, 12), ticket(707, 14), ticket(708, 31), ticket(709, 22, assignee_id=23), ticket(710, 1),
        ticket(711, 1),
    ],
    ticket_comments=[
        comment(801, 702, file(901, 1)), comment(802, 799),
        comment(803, 710, file(904, 15), file(907, 10), file(910, 5), file(913, 1)),
        comment(804, 711, file(903, 1)),
    ],
    organizations=[ORGANIZATION], ticket_forms=[{"id": 3, "name": "F"}], tags=[{"name": "t", "count": 1}],
)  # fmt: skip
THERE: Account = {"companies": [{"id": 5, "name": "ORG ", "description": "theirs", "custom_fields": {}}]}


@dataclass
class Desk:
    stage: Stage
    plan: Plan

    def ends(self, kind: str, *ids: int) -> list[tuple[str, str]]:
        found = {
            line["id"]: (line["action"], line["reason"])
            for line in lines(self.stage)
            if line["kind"] == kind and line["action"] != "stand_in"
        }
        return [found[str(id)] for id in ids]


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with Stage(":memory:", threads=1) as stage:
        yield Desk(stage, planned(stage, DESK, there=THERE))


def test_the_desk_adds_up(desk: Desk) -> None:
    check_ends(desk.stage, DESK, desk.plan)
    check_references(desk.stage)
    check_losses(desk.stage, desk.plan)


def test_people_with_one_address_become_one(desk: Desk) -> None:
    assert [action for action, _ in desk.ends("contact", 1, 2, 3, 4)] == ["create", "merge", "create", "create"]
    assert desk.ends("contact", 2)[0][1] == "the same as record 1"


@pytest.mark.parametrize(("gone", "there", "asks"), [(11, 12, 706), (13, 14, 707)], ids=["deleted", "nameless"])
def test_nobody_is_merged_into_somebody_who_does_not_arrive(desk: Desk, gone: int, there: int, asks: int) -> None:
    assert desk.ends("contact", there) == [("create", "")]
    assert desk.ends("ticket", asks) == [("create", "")]
    assert desk.ends("contact", gone)[0][0] != "create"


def test_an_agent_without_a_seat_becomes_a_contact(desk: Desk) -> None:
    stand_ins = [line for line in desk.plan.dispositions if line.kind == "agent"]
    assert sum(line.count for line in stand_ins) == 3
    assert [action for action, _ in desk.ends("ticket", 705, 709)] == ["create", "create"]
    assert desk.ends("agent", 21)[0][0] == "create"


def test_the_signature_of_somebody_without_a_seat_is_left_to_a_person(desk: Desk) -> None:
    found = [(line["action"], line["reason"]) for line in lines(desk.stage) if line["kind"] == "signature"]
    assert found == [("manual", "its agent has no seat at Freshdesk")] * 2


def test_nobody_without_a_seat_is_assigned_a_ticket(desk: Desk) -> None:
    payload = next(line["payload"] for line in lines(desk.stage) if (line["kind"], line["id"]) == ("ticket", "709"))
    assert payload.get("responder_id") is None


def test_an_agent_without_a_seat_is_left_to_a_person_where_that_is_wanted(stage: Stage) -> None:
    plan = planned(stage, small(users=[person(1, role="agent")]), without_seat="manual")
    assert {(line.kind, line.action, line.reason) for line in plan.dispositions} == {
        ("agent", "manual", "needs a seat at Freshdesk"),
        ("ticket", "manual", "its requester is not written"),
    }


def test_a_deleted_person_is_left_unless_a_ticket_names_them(desk: Desk) -> None:
    assert desk.ends("contact", 31, 32) == [("create", ""), ("skip", "deleted at the source, and nothing refers to it")]


def test_what_hangs_on_a_record_that_is_not_written_says_so(desk: Desk) -> None:
    assert desk.ends("ticket", 702) == [("skip", "deleted at the source")]
    assert desk.ends("message", 801, 802) == [
        ("skip", "its ticket is not written: deleted at the source"),
        ("skip", "its ticket is not among the records"),
    ]
    assert desk.ends("attachment", 901)[0][0] == "skip"


def test_a_ticket_without_a_requester_is_left_to_a_person_with_the_reason(desk: Desk) -> None:
    assert desk.ends("ticket", 703, 704) == [
        ("manual", "no requester, which it needs"),
        ("manual", "its requester is not written"),
    ]


def test_bytes_beyond_the_limit_are_left_and_whatever_fits_goes(desk: Desk) -> None:
    assert [action for action, _ in desk.ends("attachment", 904, 907, 910, 913)] == [
        "create",
        "manual",
        "create",
        "manual",
    ]


def test_bytes_that_could_not_be_read_are_left_with_the_vendors_answer(desk: Desk) -> None:
    assert desk.ends("attachment", 903) == [("manual", "its bytes could not be read: 404")]


def test_what_the_destination_has_already_is_kept_and_its_own_values_are_a_loss(desk: Desk) -> None:
    line = next(line for line in lines(desk.stage) if line["kind"] == "organization")
    assert (line["action"], line["target"]) == ("keep", "5")
    assert {loss.field for loss in desk.plan.losses if loss.kind == "organization" and loss.how == "merged"} >= {
        "details"
    }


def test_no_kind_is_left_without_a_word_and_each_unit_is_one_call(desk: Desk) -> None:
    said = {(line.kind, line.action) for line in desk.plan.dispositions}
    assert {("ticket_form", "manual"), ("tag", "skip")} <= said
    assert desk.plan.units == sum(desk.plan.calls.endpoints.values())
