"""Translated automations as jobs of a true Znuny's GenericAgent act on the same tickets as the source's rule.

The jobs are added and run by Znuny's own modules, in the form in which they are written; what they do is replaced by a
module that takes note, so that none changes a ticket for the next.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from migrator.testing.servers.znuny import Znuny
from tests.support.connectors import connector
from tests.support.drawn_conditions import Listed, drawn
from tests.support.rule_engines import Native, Update, zendesk
from tests.support.rule_worlds import updates

pytestmark = pytest.mark.servers
ZENDESK: Any = connector("zendesk.rules")
ZNUNY: Any = connector("znuny.rules")
STATES = {"pending": "pending reminder", "solved": "closed successful"}  # hold and closed are added, by their names
PRIORITIES = {None: "3 normal", "low": "2 low", "normal": "3 normal", "high": "4 high", "urgent": "5 very high"}
CLOSED = "closed successful"

FURNISH = r"""
use strict; use warnings; use Kernel::System::ObjectManager;
local $Kernel::OM = Kernel::System::ObjectManager->new();
$Kernel::OM->Get('Kernel::Config')->Set(Key => 'CheckEmailAddresses', Value => 0);
my %By = (ValidID => 1, UserID => 1);
my ($Json, $World) = ($Kernel::OM->Get('Kernel::System::JSON'));
$World = $Json->Decode(Data => ${ $Kernel::OM->Get('Kernel::System::Main')->FileRead(Location => 'WORLD') });
my (%Id, $States) = ();
$States = $Kernel::OM->Get('Kernel::System::State');
$States->StateAdd(%By, Name => $_, TypeID => $States->StateTypeLookup(StateType => $_ eq 'hold' ? 'open' : 'closed'))
    or die for qw(hold closed);
$Id{"state:$_"} = $States->StateLookup(State => $_) for @{ $World->{states} };
my %Priorities = $Kernel::OM->Get('Kernel::System::Priority')->PriorityList();
$Id{"priority:$Priorities{$_}"} = $_ for keys %Priorities;
$Id{"queue:$_"} = $Kernel::OM->Get('Kernel::System::Queue')->QueueAdd(%By, Name => "group$_", GroupID => 1,
    SystemAddressID => 1, SalutationID => 1, SignatureID => 1, FollowUpID => 1, FollowUpLock => 0) or die for (21, 22);
$Id{"user:$_"} = $Kernel::OM->Get('Kernel::System::User')->UserAdd(%By, ChangeUserID => 1, UserFirstname => 'A',
    UserLastname => "B$_", UserLogin => "user$_", UserEmail => "user$_\@desk.example") or die for (7, 8, 9);
my @Tickets = map {
    $Kernel::OM->Get('Kernel::System::Ticket')->TicketCreate(Title => $_->{subject} // 'none', Lock => 'unlock',
        QueueID => $Id{"queue:$_->{group}"}, Priority => $_->{priority}, State => 'new', CustomerID => 'x',
        CustomerUser => 'x@x.example', OwnerID => $_->{assignee} ? $Id{"user:$_->{assignee}"} : 1, UserID => 1) or die;
} @{ $World->{tickets} };
print "\n", $Json->Encode(Data => { ids => \%Id, tickets => \@Tickets }), "\n";
"""
RUN = r"""
use strict; use warnings; use Kernel::System::ObjectManager;
our (%Acted, $Job);
BEGIN {
    package Kernel::System::GenericAgent::TakesNote;
    sub new { return bless {}, shift }
    sub Run { my ($Self, %Param) = @_; push @{ $main::Acted{$main::Job} }, $Param{TicketID}; return 1 }
    $INC{'Kernel/System/GenericAgent/TakesNote.pm'} = 1;
}
local $Kernel::OM = Kernel::System::ObjectManager->new();
$Kernel::OM->Get('Kernel::Config')->Set(Key => 'Ticket::GenericAgentAllowCustomModuleExecution', Value => 1);
my $Json = $Kernel::OM->Get('Kernel::System::JSON');
my $Jobs = $Json->Decode(Data => ${ $Kernel::OM->Get('Kernel::System::Main')->FileRead(Location => 'JOBS') });
my ($Agent, %Got) = ($Kernel::OM->Get('Kernel::System::GenericAgent'));
for my $One (@$Jobs) {
    my %Data = %$One;
    $Job = delete $Data{Name};
    $Agent->JobAdd(Name => $Job, UserID => 1, Data => { %Data, NewModule => 'Kernel::System::GenericAgent::TakesNote' })
        or die "not added: $Job";
    $Got{$Job} = { $Agent->JobGet(Name => $Job) };
    $Agent->JobRun(Job => $Job, UserID => 1) or die "not run: $Job";
}
print "\n", $Json->Encode(Data => { acted => \%Acted, got => \%Got }), "\n";
"""


AUTOMATIONS: list[Listed] = [
    ("status", ("is", "is_not"), ("open", "pending", "solved", "new", "closed")),
    ("status", ("less_than",), ("solved", "pending")),
    ("priority", ("is",), ("low", "urgent")),
    ("priority", ("greater_than",), ("normal", "high")),
    ("group_id", ("is",), ("21",)),
    ("assignee_id", ("is",), ("7",)),
    ("NEW", ("greater_than", "less_than", "is"), ("24", "48", "47")),
    ("updated_at", ("greater_than", "less_than", "is"), ("24", "25")),
    ("SOLVED", ("greater_than", "less_than", "is"), ("24", "25")),
]


def furnished(desk: Znuny, world: list[Update]) -> tuple[dict[str, str], dict[str, int]]:
    """Make what the tickets need and the tickets; return the desk's ids, and each ticket's place by its number."""
    states = sorted({STATES.get(one["status"], one["status"]) for one in world} | {"new", "open", CLOSED})
    tickets = [{**one, "priority": PRIORITIES[one["priority"]]} for one in world]
    file = desk.folder / "world.json"
    file.write_text(json.dumps({"states": states, "tickets": tickets}), encoding="utf-8")
    made = json.loads(desk.perl(FURNISH.replace("WORLD", str(file))).splitlines()[-1])
    ids = {f"<{name}>": str(id) for name, id in made["ids"].items()}
    ago = "(now() AT TIME ZONE 'UTC') - make_interval(secs => %s)"
    for number, one in zip(made["tickets"], world, strict=True):
        hours = one["hours"]
        state = int(ids[f"<state:{STATES.get(one['status'], one['status'])}>"])
        desk.rows(
            f"UPDATE ticket SET ticket_state_id = %s, create_time = {ago}, change_time = {ago} WHERE id = %s",
            state, hours["created"] * 3600, hours["updated"] * 3600, number,
        )  # fmt: skip
        if hours["status:solved"] is not None:
            desk.rows(
                "INSERT INTO ticket_history (name, history_type_id, ticket_id, type_id, queue_id, owner_id, "
                "priority_id, state_id, create_time, create_by, change_time, change_by) "
                "SELECT '%%new%%closed', (SELECT id FROM ticket_history_type WHERE name = 'StateUpdate'), "
                "id, COALESCE(type_id, 1), queue_id, user_id, "
                f"ticket_priority_id, %s, {ago}, 1, {ago}, 1 FROM ticket WHERE id = %s",
                int(ids[f"<state:{CLOSED}>"]), hours["status:solved"] * 3600, hours["status:solved"] * 3600, number,
            )  # fmt: skip
    desk.forget()
    return ids, {str(number): place for place, number in enumerate(made["tickets"])}


def test_no_job_called_good_acts_otherwise_than_the_rule_in_a_real_znuny(desk: Znuny) -> None:
    world = updates(24, seed=31)
    ids, places = furnished(desk, world)
    wanted: dict[int, Native] = {}
    jobs: list[Native] = []
    for at, conditions in enumerate(drawn(AUTOMATIONS, 60, seed=6)):
        native = {"title": f"rule {at}", "conditions": conditions, "actions": [{"field": "status", "value": "open"}]}
        made = ZNUNY.write(ZENDESK.read(native, "timed"))
        if all(one.verdict in ("exact", "equivalent") for one in made.findings if one.place == "when"):
            wanted[at] = conditions
            text = re.sub(r"<\w+:[^<>]+>", lambda found: ids[found[0]], json.dumps(made.native))
            jobs += [{key: held for key, held in job.items() if key != "NewStateID"} for job in json.loads(text)]
    assert len(wanted) > 40
    file = desk.folder / "jobs.json"
    file.write_text(json.dumps(jobs), encoding="utf-8")
    done = json.loads(desk.perl(RUN.replace("JOBS", str(file))).splitlines()[-1])
    differing = []
    for at, conditions in wanted.items():
        found = {
            places[str(number)]
            for name, numbers in done["acted"].items()
            if re.fullmatch(rf"rule {at}( \(\d+\))?", name)
            for number in numbers
            if str(number) in places  # Znuny has a ticket of its own from the beginning
        }
        expected = {place for place, one in enumerate(world) if zendesk(conditions, one)}
        if found != expected:
            differing.append((conditions, sorted(found - expected), sorted(expected - found)))
    assert differing == [], json.dumps(differing)
    for job in jobs:  # what Znuny hands back of a job is read as what was written
        got = done["got"][job["Name"]]
        assert ZNUNY.read(got, "timed").when == ZNUNY.read(job, "timed").when
