"""Services, SLAs, who may use them, histories: set up by Znuny's own modules, read, and written into a new Znuny."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.connector import Unit
from migrator.errors import RefusedError
from migrator.migration import Account
from migrator.project import side
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.servers.znuny import Znuny
from tests.servers.znuny import moves

pytestmark = pytest.mark.servers
# A catalogue three deep, one part of it out of use; a ticket that went through some hands.
SET_UP = r"""
use strict; use warnings; use utf8; use Kernel::System::ObjectManager;
local $Kernel::OM = Kernel::System::ObjectManager->new();
$Kernel::OM->Get('Kernel::Config')->Set(Key => 'CheckEmailAddresses', Value => 0);
my %By = (ValidID => 1, UserID => 1);
my $Service = $Kernel::OM->Get('Kernel::System::Service');
my $Top = $Service->ServiceAdd(%By, Name => 'Zugänge', Comment => 'all of them') or die;
my $Mail = $Service->ServiceAdd(%By, Name => 'Mail', ParentID => $Top) or die;
my $Old = $Service->ServiceAdd(%By, Name => 'Fax', ParentID => $Mail, ValidID => 2) or die;
my $Sla = $Kernel::OM->Get('Kernel::System::SLA')->SLAAdd(%By, Name => 'Gold', ServiceIDs => [$Top, $Mail],
    FirstResponseTime => 60, FirstResponseNotify => 80, SolutionTime => 480, Comment => 'paid for') or die;
for my $Login (qw(ada@firm.example bob@firm.example)) {
    $Kernel::OM->Get('Kernel::System::CustomerUser')->CustomerUserAdd(%By, Source => 'CustomerUser',
        UserFirstname => 'A', UserLastname => 'B', UserCustomerID => 'Firm', UserLogin => $Login,
        UserEmail => $Login) or die;
}
$Service->CustomerUserServiceMemberAdd(CustomerUserLogin => 'ada@firm.example', ServiceID => $Mail, Active => 1,
    UserID => 1) or die;
$Service->CustomerUserServiceMemberAdd(CustomerUserLogin => '<DEFAULT>', ServiceID => $Top, Active => 1,
    UserID => 1) or die;
my $Agent = $Kernel::OM->Get('Kernel::System::User')->UserAdd(%By, ChangeUserID => 1, UserFirstname => 'Bea',
    UserLastname => 'B', UserLogin => 'bea@desk.example', UserEmail => 'bea@desk.example') or die;
my $Tickets = $Kernel::OM->Get('Kernel::System::Ticket');
my %New = (QueueID => 1, Lock => 'unlock', Priority => '3 normal', State => 'open', OwnerID => 1, UserID => 1);
# Bob may not use the service: the web service would refuse his ticket.
my $One = $Tickets->TicketCreate(%New, Title => 'with a service', CustomerUser => 'bob@firm.example',
    ServiceID => $Old, SLAID => $Sla) or die;
my $Two = $Tickets->TicketCreate(%New, Title => 'without one', CustomerUser => 'ada@firm.example') or die;
for my $ID ($One, $Two) {
    $Kernel::OM->Get('Kernel::System::Ticket::Article::Backend::Internal')->ArticleCreate(TicketID => $ID,
        SenderType => 'agent', IsVisibleForCustomer => 1, From => 'x', Subject => 's', Body => 'b', Charset => 'utf-8',
        MimeType => 'text/plain', HistoryType => 'AddNote', HistoryComment => '%%', UserID => $Agent,
        NoAgentNotify => 1) or die;
}
$Tickets->TicketPrioritySet(TicketID => $One, Priority => '5 very high', UserID => $Agent) or die;
$Tickets->TicketOwnerSet(TicketID => $One, NewUserID => $Agent, UserID => 1) or die;
my $Jobs = $Kernel::OM->Get('Kernel::System::GenericAgent');
my %Close = (StateIDs => [4, 1], PriorityIDs => [3], QueueIDs => [1], OwnerIDs => [$Agent], NewStateID => 2, Valid => 1,
    TimeSearchType => 'TimePoint', TicketCreateTimePoint => 2, TicketCreateTimePointFormat => 'day', CustomerID => '',
    TicketCreateTimePointStart => 'Before', ScheduleHours => [7, 19], ScheduleMinutes => [0], ScheduleDays => [1]);
$Jobs->JobAdd(Name => 'Close ~ old', UserID => 1, Data => \%Close) or die;
$Jobs->JobAdd(Name => 'Locked ones', UserID => 1, Data => {%Close, LockIDs => [2]}) or die;
$Jobs->JobAdd(Name => 'Runs a command', UserID => 1, Data => {%Close, NewCMD => '/bin/true'}) or die;
$Tickets->HistoryAdd(TicketID => $One, HistoryType => 'Misc', Name => 'said by hand: ü', CreateUserID => $Agent);
"""
CATALOGUE = """SELECT name, comments, valid_id FROM service ORDER BY 1"""
ACCESS = """SELECT s.name, u.customer_user_login FROM service_customer_user u JOIN service s ON s.id = u.service_id
    ORDER BY 1, 2"""
AGREED = """SELECT l.name, l.comments, first_response_time, first_response_notify, update_time, solution_time, s.name
    FROM sla l JOIN service_sla m ON m.sla_id = l.id JOIN service s ON s.id = m.service_id ORDER BY s.name"""
TICKETS = """SELECT t.title, s.name, l.name FROM ticket t LEFT JOIN service s ON s.id = t.service_id
    LEFT JOIN sla l ON l.id = t.sla_id WHERE t.id > 1 ORDER BY 1"""
JOBS = """SELECT job_key, count(*) FROM generic_agent_jobs WHERE job_name = 'Close ~ old' AND job_value <> ''
    GROUP BY 1 ORDER BY 1"""
HISTORY = """SELECT t.title, w.name, h.name, u.login, h.create_time FROM ticket_history h
    JOIN ticket t ON t.id = h.ticket_id JOIN ticket_history_type w ON w.id = h.history_type_id
    JOIN users u ON u.id = h.create_by WHERE t.id > 1 AND h.article_id IS NULL ORDER BY 1, 2, 3, 4, 5"""


def rows(run: Steps, sql: str) -> list[tuple[Any, ...]]:
    with Stage(run.workspace.stage) as stage:
        return stage.rows(sql)


def test_a_catalogue_and_histories_arrive_in_a_new_znuny_as_they_were(desk: Znuny, tmp_path: Path) -> None:
    desk.perl(SET_UP)
    was = [desk.rows(sql) for sql in (CATALOGUE, ACCESS, AGREED, TICKETS, JOBS)]
    old = desk.rows(HISTORY)
    assert {what for _, what, *_ in old} >= {"NewTicket", "PriorityUpdate", "OwnerUpdate", "Misc"}
    run = moves.steps(tmp_path, moves.at_znuny(desk), moves.at_znuny(desk))
    run.extract()
    desk.reset()
    plan = run.plan()
    assert plan.unaccounted == {}
    assert plan.counts["service"] == 3
    assert plan.counts["service_access"] == 1
    assert {(loss.kind, loss.field) for loss in plan.losses} <= {
        ("service", "created_at"), ("service", "updated_at"), ("sla", "created_at"), ("sla", "updated_at"),
        ("automation", "active"),
        ("contact", "created_at"), ("contact", "updated_at"), ("agent", "created_at"), ("agent", "updated_at"),
    }  # fmt: skip
    loaded = run.load(plan.digest)
    assert loaded.quarantined == 0
    verified, differences = run.verify()
    assert differences == []
    assert verified.proven
    assert [desk.rows(sql) for sql in (CATALOGUE, ACCESS, AGREED, TICKETS, JOBS)] == was
    assert {(one.action, one.count) for one in plan.dispositions if one.kind == "automation"} == {
        ("create", 1), ("manual", 1)
    }  # fmt: skip
    now = desk.rows(HISTORY)
    assert all(now.count(line) >= old.count(line) for line in old)
    assert run.plan().units == 0


def test_lines_of_histories_are_added_all_or_none(desk: Znuny) -> None:
    opened = side(Account(**moves.at_znuny(desk)), None, "test").open()
    units = [
        Unit("event", str(n), "event", {"HistoryType": "Misc", "Name": f"line {n}"}, {"ticket": ticket}, f"k{n}", {})
        for n, ticket in enumerate(("1", "999999"))
    ]
    before = desk.count("ticket_history")
    with pytest.raises(RefusedError, match="no line was added"):
        opened.write(units)
    assert desk.count("ticket_history") == before
    (written,) = opened.write(units[:1])
    assert opened.find(units[:1], set()) == [written]
    assert opened.find(units[:1], {written.id}) == [None]


def test_the_web_service_alone_tells_the_same_history(desk: Znuny, tmp_path: Path) -> None:
    desk.perl(SET_UP)
    box = registry.connector("zendesk").sandbox.create(limits=False)
    told = []
    for name, channels in (("alone", ()), ("sql", ("sql",))):
        run = moves.steps(
            tmp_path / name, moves.at_znuny(desk, channels=channels), moves.at_sandbox(box), destination=box
        )
        run.extract()
        told.append(rows(run, 'SELECT ticket, author, what, "text", created_at FROM canonical.event ORDER BY ALL'))
    assert told[0] == told[1]
    assert len(told[0]) == desk.count("ticket_history")
    plan = run.plan()
    ends = [one for one in plan.dispositions if one.kind == "event"]
    assert {one.action for one in ends} == {"skip"}
    assert sum(one.count for one in ends) == plan.counts["event"] == len(told[0])
    assert sum(one.count for one in ends if "begins one of its own" in one.reason) >= len(told[0]) - 1
    assert ("ticket", "service", "dropped") in {(loss.kind, loss.field, loss.how) for loss in plan.losses}
