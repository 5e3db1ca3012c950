"""Freshdesk's sandbox beside real records of an account, recorded exchanges and the unofficial specification."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import Any

import pytest
import requests
import yaml

from migrator.testing.sandbox import Native, Sandbox, mount
from tests.support.connectors import ROOT, connector
from tests.support.openapi import Spec, specified
from tests.support.vendor_data import vendor_file

fd = connector("freshdesk.sandbox")
html = connector("freshdesk.sandbox_html")
rules = connector("freshdesk.sandbox_rules")

LISTS = {  # stream to the request that lists it
    "agents": "agents",
    "companies": "companies",
    "contacts": "contacts",
    "groups": "groups",
    "roles": "roles",
    "satisfaction_ratings": "surveys/satisfaction_ratings",
    "surveys": "surveys",
    "ticket_fields": "ticket_fields",
    "tickets": "tickets?updated_since=2000-01-01T00:00:00Z&include=description,requester,stats",
}
# What the specification says and real answers (or Freshdesk's own documentation) contradict, apart from nulls:
DEVIATIONS = (
    "choices: ",  # an object for source, status, priority; the specification knows arrays only
    "auto_ticket_assign: ",  # recorded 0 and 1; the specification says boolean
    "agent_ids",
)


@pytest.fixture(scope="module")
def real() -> dict[str, list[Native]]:
    path = vendor_file("freshdesk/airbyte-freshdesk-2024-06/expected_records.jsonl")
    streams: dict[str, list[Native]] = defaultdict(list)
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        streams[row["stream"]].append(row["data"])
    return streams


@pytest.fixture(scope="module")
def spec() -> Spec:
    return Spec(vendor_file("freshdesk/spec-unofficial/freshdesk-rest-api-openapi.yml"), prefix="/api/v2")


def recorded(name: str) -> list[tuple[int, dict[str, list[str]], Any]]:
    path = vendor_file(f"freshdesk/zammad-import-2021/login-checks/{name}.yml")
    answers = [exchange["response"] for exchange in yaml.safe_load(path.read_text("utf-8"))["http_interactions"]]
    return [(a["status"]["code"], a["headers"], json.loads(a["body"]["string"] or "null")) for a in answers]


def ask(box: Sandbox, method: str, path: str, **given: Any) -> requests.Response:
    return mount(box).request(method, f"{box.base_url}/api/v2/{path}", auth=(fd.TOKEN, "X"), **given)


def filled(box: Sandbox) -> Sandbox:
    """Fill an account through the API, one record of each kind at least."""
    ask(box, "POST", "companies", json={"name": "Acme", "domains": ["acme.com"]})
    person = {"name": "Ann", "email": "ann@acme.com", "mobile": "+1", "unique_external_id": "ann", "tags": ["a"]}
    person_id = ask(box, "POST", "contacts", json=person).json()["id"]
    ask(box, "POST", "contacts", json={"name": "Carl", "email": "carl@example.com"})
    agent = ask(box, "POST", "agents", json={"email": "bob@acme.org", "ticket_scope": 1, "signature": "B"}).json()
    ask(box, "POST", "groups", json={"name": "Sales", "description": "d", "agent_ids": [agent["id"]]})
    ticket = {
        "subject": "s",
        "description": "d",
        "requester_id": person_id,
        "responder_id": agent["id"],
        "type": "Refund",
    }
    ask(box, "POST", "tickets", json=ticket | {"status": 5})
    ask(box, "POST", "tickets/1/notes", json={"body": "n"})
    ask(box, "POST", "tickets/1/reply", json={"body": "r"})
    ask(box, "POST", "tickets/1/satisfaction_ratings", json={"ratings": {"default_question": 103}, "feedback": "f"})
    return box


def kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__


def shape(records: list[Native]) -> dict[str, set[str]]:
    """Return each key with the JSON types seen; ``?`` marks a key that is sometimes absent."""
    found: dict[str, set[str]] = defaultdict(set)
    for record in records:
        for key, value in record.items():
            found[key].add(kind(value))
    return {key: kinds | ({"?"} if any(key not in r for r in records) else set()) for key, kinds in found.items()}


@pytest.mark.parametrize("stream", sorted(LISTS))
def test_real_records_are_read_back_as_they_were_seeded(real: dict[str, list[Native]], stream: str) -> None:
    box = fd.create(limits=False)
    fd.seed(box, stream, json.loads(json.dumps(real[stream])))
    ids = {record["id"] for record in real[stream]}
    read = [record for record in ask(box, "GET", LISTS[stream]).json() if record["id"] in ids]
    assert sorted(read, key=lambda r: r["id"]) == sorted(real[stream], key=lambda r: r["id"])


def test_real_conversations_are_read_back_under_their_tickets(real: dict[str, list[Native]]) -> None:
    box = fd.create(limits=False)
    fd.seed(box, "conversations", json.loads(json.dumps(real["conversations"])))
    for id in {record["ticket_id"] for record in real["conversations"]}:
        fd.seed(box, "tickets", [real["tickets"][0] | {"id": id}])
        read = ask(box, "GET", f"tickets/{id}/conversations").json()
        assert read == [record for record in real["conversations"] if record["ticket_id"] == id]


@pytest.mark.parametrize("stream", [*sorted(LISTS), "conversations"])
def test_the_sandbox_makes_records_of_the_keys_and_types_of_real_ones(
    real: dict[str, list[Native]], stream: str
) -> None:
    box = filled(fd.create(limits=False))
    made = shape(ask(box, "GET", LISTS.get(stream, "tickets/1/conversations")).json())
    known = shape(real[stream])
    needed = {key for key, kinds in known.items() if "?" not in kinds}
    always = {key for key, kinds in made.items() if "?" not in kinds}
    assert needed - always == set()
    assert set(made) - set(known) == set()
    for key, kinds in made.items():
        if {"null", "?"} >= known[key] or {"null", "?"} >= kinds:
            continue  # real records hold nothing there, or ours do not
        assert kinds - {"null", "?"} <= known[key], key


def test_contacts_tell_other_companies_beside_a_company_only(real: dict[str, list[Native]]) -> None:
    for record in [*real["contacts"], *ask(filled(fd.create(limits=False)), "GET", "contacts").json()]:
        assert ("other_companies" in record) == (record["company_id"] is not None)


def test_plain_text_is_computed_as_the_real_one(real: dict[str, list[Native]]) -> None:
    for record in real["tickets"]:
        assert html.plain(record["description"]) == record["description_text"]
    for record in real["conversations"]:
        assert html.plain(record["body"], " ") == record["body_text"]


def test_real_html_passes_the_cleaning_unharmed(real: dict[str, list[Native]]) -> None:
    for record in real["conversations"]:
        cleaned = html.clean(record["body"])
        assert attributes(cleaned) == attributes(record["body"])
        assert html.plain(cleaned, " ") == record["body_text"]


def attributes(text: str) -> list[tuple[str, list[str]]]:
    """Return each tag with its attributes, in order of appearance."""
    tags = re.findall(r"<(/?\w+)([^>]*)>", text)
    return [(name, sorted(re.findall(r'[\w-]+="[^"]*"', rest))) for name, rest in tags]


def test_due_times_follow_the_real_default_policy(real: dict[str, list[Native]]) -> None:
    policy = next(record for record in real["sla_policies"] if record["is_default"])["sla_target"]
    table = connector("freshdesk.sandbox_tickets").SLA
    for priority, seconds in table.items():
        target = policy[f"priority_{priority}"]
        assert seconds == (target["resolve_within"], target["respond_within"])


def test_a_refused_login_is_answered_as_recorded() -> None:
    for status, headers, body in recorded("import_freshdesk_fields_validation_invalid_credentials"):
        box = fd.create()
        answer = mount(box).get(f"{box.base_url}/api/v2/agents/me", auth=("wrong", "X"))
        assert (answer.status_code, answer.json()) == (status, body)
        for name in ("Content-Type", "X-Freshdesk-Api-Version"):
            assert [answer.headers[name]] == headers[name]
        for name in ("X-Ratelimit-Total", "X-Ratelimit-Remaining", "X-Ratelimit-Used-Currentrequest"):
            assert float(headers[name][0]) >= 0
            assert float(answer.headers[name]) >= 0


def test_a_refused_login_counts_and_an_endpoint_with_a_limit_of_its_own_reports_that_one() -> None:
    totals = [float(headers["X-Ratelimit-Total"][0]) for _, headers, _ in recorded("import_progress_setup")]
    contacts, me, agents = totals
    assert contacts < me == agents
    box = fd.create()
    ours = [
        float(mount(box).get(f"{box.base_url}/api/v2/{path}").headers["X-RateLimit-Total"])
        for path in ("contacts", "agents/me", "agents")
    ]
    assert ours[0] < ours[1] == ours[2]


def test_agents_have_the_keys_that_were_recorded() -> None:
    _, (_, _, me), (_, _, agents) = recorded("import_progress_setup")
    box = fd.create()
    ours = ask(box, "GET", "agents/me").json()
    assert set(ours) == set(me)
    assert set(ours["contact"]) == set(me["contact"])
    listed = ask(box, "GET", "agents").json()[0]
    assert set(listed) - set(agents[0]) == {"deactivated"}  # the records of 2024 have it
    assert set(agents[0]) - set(listed) == set()


def test_answers_agree_with_the_unofficial_specification(spec: Spec) -> None:
    box = filled(fd.create(limits=False))
    box.state["find_lag_seconds"] = 0
    contact = next(iter(box.store["contacts"]))
    reads = [*LISTS.values(), "contact_fields", "company_fields", "products", f"contacts/{contact}", "tickets/1"]
    for path in [*reads, "tickets/1/conversations", 'search/tickets?query="status:5"', "roles"]:
        assert ask(box, "GET", path).status_code == 200
    ask(box, "PUT", "tickets/1", json={"status": 3})
    ask(box, "PUT", f"contacts/{contact}", json={"job_title": "t"})
    for path in (f"contacts/{contact}", "tickets/1"):
        assert ask(box, "DELETE", path).status_code == 204
        assert ask(box, "PUT", f"{path}/restore").status_code == 204
    ask(box, "POST", "tickets", json={"colour": 1})
    ask(
        box,
        "POST",
        "tickets",
        data={"subject": "s", "description": "d", "email": "x@y.zz"},
        files={"attachments[]": b"x"},
    )
    wrong, checked = [], 0
    for exchange in box.exchanges:
        findings = spec.check_response(exchange)
        checked += not any(finding.startswith("not specified") for finding in findings)
        lines = [line for line in specified(findings) if not any(known in line for known in DEVIATIONS)]
        wrong += [f"{exchange.method} {exchange.path} {exchange.status}: {line}" for line in lines]
    assert wrong == []
    assert checked >= 25


def test_real_records_deviate_from_the_specification_only_where_it_is_known(
    real: dict[str, list[Native]], spec: Spec
) -> None:
    schemas = {"tickets": "Ticket", "contacts": "Contact", "companies": "Company", "groups": "Group", "agents": "Agent"}
    schemas |= {"conversations": "Conversation", "ticket_fields": "Field", "roles": "Role"}
    for stream, schema in schemas.items():
        for record in real[stream]:
            lines = spec.check(f"/components/schemas/{schema}", record)
            assert [line for line in lines if not any(known in line for known in DEVIATIONS)] == []


def test_each_fact_says_where_it_is_known_from() -> None:
    facts = yaml.safe_load((ROOT / "connectors/freshdesk/facts.yaml").read_text("utf-8"))
    sources = ("documented", "recorded", "assumed")
    for fact in facts:
        (source,) = set(fact) - {"fact"}
        assert source in sources, fact
        assert fact[source], fact
        if source == "documented":
            assert set(fact[source]) == {"source", "date"}, fact
        if source == "recorded":
            vendor_file(f"freshdesk/{fact[source]}")
    assert len({fact["fact"] for fact in facts}) == len(facts) >= 60
