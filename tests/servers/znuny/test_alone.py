"""The web service alone, without any channel: it moves the tickets of people, queues and fields it finds named."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.ledger import Ledger
from migrator.stage import Stage
from migrator.testing.servers.znuny import Znuny
from tests.servers.znuny import moves
from tests.support.desks import tiny_desk

pytestmark = pytest.mark.servers
# What somebody sets up by hand, and one ticket that names it all.
SET_UP = r"""
use strict; use warnings; use Kernel::System::ObjectManager;
local $Kernel::OM = Kernel::System::ObjectManager->new();
$Kernel::OM->Get('Kernel::Config')->Set(Key => 'CheckEmailAddresses', Value => 0);
my %By = (ValidID => 1, UserID => 1);
for my $Name (qw(MigratorKey MigratorMessage MigratorTags)) {
    $Kernel::OM->Get('Kernel::System::DynamicField')->DynamicFieldAdd(
        %By, Name => $Name, Label => $Name, FieldOrder => 9, FieldType => 'Text', Config => {DefaultValue => ''},
        ObjectType => $Name eq 'MigratorMessage' ? 'Article' : 'Ticket') or die;
}
my $Queue = $Kernel::OM->Get('Kernel::System::Queue')->QueueAdd(%By, Name => 'Support', GroupID => 1,
    SystemAddressID => 1, SalutationID => 1, SignatureID => 1, FollowUpID => 1, FollowUpLock => 0) or die;
$Kernel::OM->Get('Kernel::System::CustomerCompany')->CustomerCompanyAdd(%By, CustomerID => 'Firm',
    CustomerCompanyName => 'Firm') or die;
$Kernel::OM->Get('Kernel::System::CustomerUser')->CustomerUserAdd(%By, Source => 'CustomerUser', UserFirstname => 'Ada',
    UserLastname => 'A', UserCustomerID => 'Firm', UserLogin => 'ada@firm.example',
    UserEmail => 'ada@firm.example') or die;
my $Agent = $Kernel::OM->Get('Kernel::System::User')->UserAdd(%By, ChangeUserID => 1, UserFirstname => 'Bea',
    UserLastname => 'B', UserLogin => 'bea@desk.example', UserEmail => 'bea@desk.example') or die;
$Kernel::OM->Get('Kernel::System::Ticket')->TicketCreate(Title => 'here before', QueueID => $Queue, Lock => 'unlock',
    Priority => '3 normal', State => 'open', CustomerID => 'Firm', CustomerUser => 'ada@firm.example',
    OwnerID => $Agent, UserID => 1) or die;
"""


def test_tickets_arrive_as_predicted_with_their_dates_in_a_line_above_the_text(desk: Znuny, tmp_path: Path) -> None:
    old, _ = tiny_desk()
    desk.perl(SET_UP)
    before = desk.count("ticket")
    run = moves.steps(tmp_path, moves.at_sandbox(old), moves.at_znuny(desk, channels=()), source=old)
    run.extract()
    plan = run.plan()
    assert plan.counts["ticket"] == 2
    loaded = run.load(plan.digest)
    with Ledger(run.workspace.ledger) as ledger:
        assert ledger.quarantined() == []
    assert loaded.written == plan.units
    verified, differences = run.verify()
    assert differences == []
    assert verified.proven
    assert desk.count("ticket") == before + 2
    assert desk.count("article_data_mime_attachment", "filename = 'note.txt'") == 4
    assert desk.rows("SELECT DISTINCT a_from FROM article_data_mime WHERE article_id > 1 ORDER BY 1") == [
        ('"ada@firm.example" <ada@firm.example>',),
        ('"bea@desk.example" <bea@desk.example>',),
    ]
    with Stage(run.workspace.stage) as stage:
        raw = stage.rows("SELECT json_extract_string(body, '$.Html') FROM back.articles")
    assert ("message", "created_at", "reset") in {(loss.kind, loss.field, loss.how) for loss in plan.losses}
    assert sum("⟦" in (html or "") and "zendesk 100" in (html or "") for (html,) in raw) == 3
