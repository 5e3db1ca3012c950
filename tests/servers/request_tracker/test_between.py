"""From one Request Tracker to another: merges, groups of people, articles, numbers and customizations arrive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from migrator.connector import Unit
from migrator.errors import RefusedError
from migrator.ledger import Ledger
from migrator.steps import Steps
from migrator.testing.conformance import ServerGround
from migrator.testing.sandbox import Clock
from migrator.testing.servers import Proxy
from migrator.testing.servers.request_tracker import RequestTracker
from tests.support.server_desks import steps_between

from .grounds import PEOPLE, SAID, account

NUMBER = 4711  # of the ticket that is merged
MEMBERS = (
    "SELECT g.Name, u.EmailAddress FROM GroupMembers m JOIN Groups g ON g.id = m.GroupId JOIN Users u "
    f"ON u.id = m.MemberId WHERE g.{PEOPLE} ORDER BY 1, 2"
)
WATCHERS = (
    "SELECT g.Name, u.EmailAddress FROM GroupMembers m JOIN Groups g ON g.id = m.GroupId JOIN Users u "
    "ON u.id = m.MemberId WHERE g.Domain = 'RT::Ticket-Role' AND g.Instance = ? AND u.Name <> 'Nobody' ORDER BY 1, 2"
)


ACTIVE = "SELECT id, Description FROM Scrips WHERE Disabled = 0 ORDER BY id"
CODE = "return $self->TransactionObj->Type eq 'Create'; # ü 日本"
QUERY = "Queue = 'Billing' AND Status = 'stalled'"
CUSTOM: dict[str, Any] = {
    "Templates": [
        {"Queue": "Billing", "Name": "Mahnung ü", "Type": "Perl", "Content": "Subject: 請求\n\n{$Ticket->id} is due"},
    ],
    "Scrips": [
        {
            "Queue": ["Billing", "General"], "Description": "Remind", "ScripCondition": "User Defined",
            "ScripAction": "Notify Requestors", "Template": "Correspondence", "CustomIsApplicableCode": CODE,
        },
    ],
    "ACL": [
        {"GroupDomain": "UserDefined", "GroupId": "Zweite Linie ü", "Queue": "Billing", "Right": ["OwnTicket"]},
        {"GroupDomain": "RT::Queue-Role", "GroupType": "AdminCc", "Queue": "Billing", "Right": ["ModifyTicket"]},
        {"UserId": "a1", "Right": ["ShowConfigTab"]},
    ],
    "Attributes": [
        {
            "Object": "RT::System", "Name": "SavedSearch", "Description": "Waiting ü",
            "Content": {"SearchType": "Ticket", "Query": QUERY, "OrderBy": "Due", "Order": "ASC", "RowsPerPage": 50},
        },
    ],
}  # fmt: skip


def fill(server: RequestTracker) -> None:
    """Put in an account with a merged ticket, groups of people and articles: plain calls."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"token {server.token}"

        def call(method: str, path: str, body: Any) -> str:
            answer = session.request(method, f"{server.url}/REST/2.0{path}", json=body, timeout=60)
            assert answer.ok, answer.text
            return answer.headers.get("Location", "").rsplit("/", 1)[-1]

        call("POST", "/queue", {"Name": "Billing"})
        who = [
            call("POST", "/user", {"Name": f"a{n}", "EmailAddress": f"a{n}@desk.example", "Privileged": 1})
            for n in range(3)
        ]
        teams = [call("POST", "/group", {"Name": name}) for name in ("Billing", "Zweite Linie ü", "Within")]
        call("PUT", f"/group/{teams[0]}/members", [who[0], who[1]])
        call("PUT", f"/group/{teams[1]}/members", [who[1], teams[2]])
        call("PUT", f"/group/{teams[2]}/members", [who[2]])
        text = {"ContentType": "text/html"}
        one = {"Queue": "Billing", "Requestor": "one@x.example", "Cc": "also@x.example", "Subject": "the merged one"}
        call("POST", "/ticket", {"id": NUMBER, **one, **text, "Content": "<p>first of the merged"})
        call("POST", f"/ticket/{NUMBER}/comment", {"Content": "a note", "ContentType": "text/plain"})
        other = {"Queue": "Billing", "Requestor": "two@x.example", "Subject": "the other"}
        there = call("POST", "/ticket", {**other, **text, "Content": "<p>first of the other"})
        call("PUT", f"/ticket/{NUMBER}", {"MergeInto": int(there)})
        call("POST", f"/ticket/{there}/comment", {"Content": "after the merge", "ContentType": "text/plain"})
        call("POST", "/class", {"Name": "Fragen ü"})
        article = {"Class": "Fragen ü", "Name": "日本語", "Summary": "how & why"}
        call("POST", "/article", {**article, "CustomFields": {"Content": "plain <text>\nof two lines"}})
        call("POST", "/article", {"Class": "General", "Name": "old", "Disabled": 1})
    server.initialdata(CUSTOM)


@pytest.fixture(scope="module")
def moved(server: RequestTracker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Steps, RequestTracker]]:
    """Return the account, carried out of the server and into the same one, new again."""
    server.reset()
    fill(server)
    here = {"url": server.url, "workers": 2}
    keeping = {**here, "options": {"ticket_ids": "keep"}}
    old = (account(server, ("initialdata",)).model_copy(update=here), {"token": server.token})
    new = (account(server, ("initialdata", "sql")).model_copy(update=keeping), {"token": server.token})
    with pytest.MonkeyPatch.context() as patch:
        run = steps_between(tmp_path_factory.mktemp("between"), old, new, patch, Clock(real=True))
        run.extract()
        server.reset()
        before = server.rows(ACTIVE)
        run.load(run.plan().digest)
        assert server.rows(ACTIVE) == before
        yield run, server


def test_everything_arrives_as_predicted(moved: tuple[Steps, RequestTracker]) -> None:
    run, _ = moved
    with Ledger(run.workspace.ledger) as ledger:
        assert ledger.quarantined() == []
    verified, differences = run.verify()
    assert differences == []
    assert verified.proven


def test_a_merged_ticket_is_merged_again_under_its_old_number(moved: tuple[Steps, RequestTracker]) -> None:
    _, server = moved
    ((other,),) = server.rows("SELECT id FROM Tickets WHERE Subject = 'the other'")
    assert server.rows("SELECT EffectiveId, IsMerged FROM Tickets WHERE id = ?", NUMBER) == [(other, 1)]
    said = f"SELECT ObjectId, count(*) FROM Transactions WHERE {SAID} GROUP BY 1 ORDER BY 1"
    assert dict(server.rows(said)) == {NUMBER: 2, other: 2}
    asked = server.rows(WATCHERS, other)
    # A ticket has one requester, further ones arrive as ccs.
    assert asked == [("Cc", "also@x.example"), ("Cc", "one@x.example"), ("Requestor", "two@x.example")]


def test_groups_of_people_have_their_members_those_of_queues_and_others(moved: tuple[Steps, RequestTracker]) -> None:
    assert moved[1].rows(MEMBERS) == [
        ("Billing", "a0@desk.example"),
        ("Billing", "a1@desk.example"),
        ("Within", "a2@desk.example"),
        ("Zweite Linie ü", "a1@desk.example"),
        ("Zweite Linie ü", "a2@desk.example"),
    ]
    assert moved[1].count("Queues", "Name = 'Zweite Linie ü'") == 0


def test_articles_stand_in_their_classes(moved: tuple[Steps, RequestTracker]) -> None:
    rows = moved[1].rows(
        "SELECT c.Name, a.Name, COALESCE(a.Summary, ''), a.Disabled, COALESCE(v.LargeContent, v.Content) "
        "FROM Articles a JOIN Classes c ON c.id = a.Class LEFT JOIN ObjectCustomFieldValues v ON v.ObjectId = a.id AND "
        "v.ObjectType = 'RT::Article' ORDER BY 1"
    )
    assert rows == [
        ("Fragen ü", "日本語", "how & why", 0, "plain &lt;text&gt;<br>of two lines"),
        ("General", "old", "", 1, None),
    ]


def test_what_an_administrator_made_arrives_scrips_switched_off(moved: tuple[Steps, RequestTracker]) -> None:
    _, server = moved
    assert server.rows("SELECT Type, Content FROM Templates WHERE Name = 'Mahnung ü'") == [
        ("Perl", "Subject: 請求\n\n{$Ticket->id} is due")
    ]
    scrips = server.rows(
        "SELECT s.Disabled, s.Template, s.CustomIsApplicableCode, q.Name FROM Scrips s JOIN ObjectScrips o "
        "ON o.Scrip = s.id JOIN Queues q ON q.id = o.ObjectId WHERE s.Description = 'Remind' ORDER BY q.Name"
    )
    assert scrips == [(1, "Correspondence", CODE, "Billing"), (1, "Correspondence", CODE, "General")]
    rights = server.rows(
        "SELECT a.RightName, g.Domain, g.Name FROM ACL a JOIN Groups g ON g.id = a.PrincipalId JOIN Queues q "
        "ON q.id = a.ObjectId WHERE a.ObjectType = 'RT::Queue' AND q.Name = 'Billing' ORDER BY 1"
    )
    assert rights == [
        ("ModifyTicket", "RT::Queue-Role", "AdminCc"),
        ("OwnTicket", "UserDefined", "Zweite Linie ü"),
    ]
    assert server.count("ACL", "RightName = 'ShowConfigTab'") == 1
    assert server.count("Attributes", "Name = 'SavedSearch' AND Description = 'Waiting ü'") == 1


def test_a_scrip_is_switched_on_when_that_is_asked_for(moved: tuple[Steps, RequestTracker]) -> None:
    _, server = moved
    ((number,),) = server.rows("SELECT id FROM Scrips WHERE Description = 'Remind'")
    with Proxy(server.url) as proxy:
        opened = ServerGround(proxy, account(server, ("initialdata", "sql")), {"token": server.token}, dict).open()
        opened.activate(Unit("script", "1", "script", {}, {}, "", {}, there=str(number)), "active")
    assert server.rows("SELECT Disabled FROM Scrips WHERE id = ?", number) == [(0,)]


def test_a_merged_ticket_is_not_changed_for_the_other_one_would_be(moved: tuple[Steps, RequestTracker]) -> None:
    _, server = moved
    with Proxy(server.url) as proxy:
        opened = ServerGround(proxy, account(server), {"token": server.token}, dict).open()
        for action in ("update", "delete"):
            unit = Unit("ticket", "1", "ticket", {"Subject": "changed"}, {}, "", {}, action=action, there=str(NUMBER))
            with pytest.raises(RefusedError, match="is merged"):
                opened.write([unit])
    assert server.count("Tickets", "Subject = 'changed' OR Status = 'deleted'") == 0


def test_a_number_that_is_taken_is_refused_and_said_so(server: RequestTracker, tmp_path: Path) -> None:
    server.reset()
    with Proxy(server.url) as proxy:
        keeping = account(server).model_copy(update={"options": {"ticket_ids": "keep"}})
        ground = ServerGround(proxy, keeping, {"token": server.token}, dict)
        payload = {"Subject": "mine", "Status": "open", "Requestor": 14}
        unit = Unit("ticket", str(NUMBER), "ticket", payload, {}, f"zendesk:ticket:{NUMBER}", {})
        opened = ground.open()
        assert opened.write([unit])[0].id == str(NUMBER)  # type: ignore[index, union-attr]
        with pytest.raises(RefusedError, match="the number 4711 is taken"):
            opened.write([unit])
        assert server.count("Tickets") == 1
