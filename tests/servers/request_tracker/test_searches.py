"""Translated views, as searches of a real Request Tracker, find the tickets that the source's rule takes.

The same searches are what the drafts for rt-crontool ask. Tickets are made by RT's own class, dated by SQL.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from migrator.testing.servers.request_tracker import RequestTracker
from tests.support.connectors import connector
from tests.support.drawn_conditions import Listed, drawn
from tests.support.rule_engines import Native, Update, zendesk
from tests.support.rule_worlds import updates

from .test_rules import LIFECYCLE, NAMES, PRIORITIES, STATUSES, furnished

ZENDESK: Any = connector("zendesk.rules")
TRACKER: Any = connector("request_tracker.rules")
SEARCH = r"""
use strict; use warnings; use JSON::PP; use lib '/usr/share/request-tracker5/lib'; use RT;
RT->LoadConfig; RT->Init;
my $world = decode_json(join '', <STDIN>);
my %field = map { my $f = RT::CustomField->new(RT->SystemUser); $f->Load($_); ($_ => $f->id) } qw(Tags Type);
my $person = sub { my $u = RT::User->new(RT->SystemUser); $u->Load(defined $_[0] ? "user$_[0]" : 'Nobody'); $u->id };
my (@made, @found);
for my $one (@{ $world->{tickets} }) {
    my $ticket = RT::Ticket->new(RT->SystemUser);
    my ($id, undef, $why) = $ticket->Create(
        Queue => "group$one->{group}", Subject => $one->{subject} // '', Requestor => "user$one->{requester}",
        Status => $one->{status}, Priority => $one->{priority}, Owner => $person->($one->{assignee}),
        "CustomField-$field{Tags}" => $one->{tags}, ($one->{type} ? ("CustomField-$field{Type}" => $one->{type}) : ()),
    );
    die "not made: $why" unless $id;
    $ticket->RanTransactionBatch(1);
    push @made, $id;
    RT->DatabaseHandle->dbh->do('UPDATE Tickets SET Created = ?, LastUpdated = ?, Resolved = ? WHERE id = ?', undef,
        (map { my $at = RT::Date->new(RT->SystemUser);
            defined $_ ? $at->Set(Format => 'unix', Value => time - $_ * 3600) : $at->Set(Format => 'unix', Value => 0);
            $at->ISO } @{ $one->{hours} }), $id);
}
for my $query (@{ $world->{queries} }) {
    my $tickets = RT::Tickets->new(RT->SystemUser);
    my ($ok, $why) = $tickets->FromSQL($query);
    die "$query: $why" unless $ok;
    my @ids;
    while (my $one = $tickets->Next) { push @ids, $one->id }
    push @found, \@ids;
}
print "\n", encode_json({ made => \@made, found => \@found }), "\n";
"""


VIEWS: list[Listed] = [
    ("status", ("is", "is_not"), ("open", "pending", "solved", "new", "closed", "hold")),
    ("status", ("less_than", "greater_than"), ("solved", "pending")),
    ("priority", ("is", "is_not"), ("low", "urgent", "")),
    ("priority", ("greater_than", "less_than"), ("normal", "high")),
    ("group_id", ("is", "is_not"), ("21",)),
    ("assignee_id", ("is", "is_not"), ("7", "")),
    ("requester_id", ("is", "is_not"), ("8",)),
    ("current_tags", ("includes", "not_includes"), ("vip", "vip bug")),
    ("type", ("is", "is_not"), ("question", "")),
    ("NEW", ("greater_than", "less_than", "is"), ("24", "48", "47")),
    ("updated_at", ("greater_than", "less_than", "is"), ("24", "25")),
    ("SOLVED", ("greater_than", "less_than", "is"), ("24", "25")),
]


def ticket(one: Update) -> Native:
    """Return an invented ticket in Request Tracker's values."""
    hours = [one["hours"][anchor] for anchor in ("created", "updated", "status:solved")]
    told = {name: one[name] for name in ("group", "subject", "requester", "assignee", "tags", "type")}
    return {
        **told,
        "status": NAMES.get(one["status"], one["status"]),
        "priority": PRIORITIES[one["priority"]],
        "hours": hours,
    }


def test_no_view_called_good_finds_other_tickets_than_the_rule_in_a_real_request_tracker(
    tracker: RequestTracker,
) -> None:
    known = furnished(tracker)
    world = updates(28, seed=41)
    wanted: list[Native] = []
    queries: list[str] = []
    for conditions in drawn(VIEWS, 50, seed=8):
        native = {"title": "a view", "conditions": conditions, "output": {}}
        made = TRACKER.write(ZENDESK.read(native, "view"))
        if all(one.verdict in ("exact", "equivalent") for one in made.findings if one.place == "when"):
            wanted.append(conditions)
            queries.append(re.sub(r"<\w+:\d+>", lambda found: known[found[0]], made.native[0]["Query"]))
    assert len(wanted) > 60
    lifecycle = tracker.folder / "conf.d" / "lifecycle.pm"
    lifecycle.write_text(LIFECYCLE.replace("ALL", ", ".join(f"'{name}'" for name in STATUSES)))
    try:
        done = subprocess.run(
            ["perl", "-e", SEARCH],
            input=json.dumps({"tickets": [ticket(one) for one in world], "queries": queries}),
            capture_output=True, text=True, timeout=300, env={**os.environ, **tracker.environment}, check=False,
        )  # fmt: skip
    finally:
        lifecycle.unlink()
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    places = {id: at for at, id in enumerate(told["made"])}
    differing, told_apart = [], 0
    for conditions, query, ids in zip(wanted, queries, told["found"], strict=True):
        found = {places[id] for id in ids if id in places}
        expected = {at for at, one in enumerate(world) if zendesk(conditions, one)}
        told_apart += 0 < len(expected) < len(world)
        if found != expected:
            differing.append((conditions, query, sorted(found - expected), sorted(expected - found)))
    assert differing == [], json.dumps(differing, indent=1)
    assert told_apart > 50


MAKE = r"""
use strict; use warnings; use JSON::PP; use lib '/usr/share/request-tracker5/lib'; use RT; use RT::SLA;
RT->LoadConfig; RT->Init;
my $asks = RT::CurrentUser->new; $asks->Load('asks');
my (%due, %made, @reckoned);
my $given = decode_json(join '', <STDIN>);
for my $one (@{ $given->{times} }) {
    my ($hours, $zone, $minutes, $time) = @$one;
    my $by = { BusinessHours => $hours, Timezone => $zone, BusinessMinutes => $minutes };
    push @reckoned, RT::SLA::CalculateTime(bless({}, 'RT::SLA'), Agreement => $by, Time => $time);
}
for my $level (@{ $given->{levels} }) {
    my $ticket = RT::Ticket->new($asks);
    my ($id, undef, $why) = $ticket->Create(
        Queue => 'General', Subject => 'x', Requestor => 'asks@firm.example', SLA => $level);
    die "not made: $why" unless $id;
    $ticket = RT::Ticket->new(RT->SystemUser); $ticket->Load($id);
    $due{$level} = $ticket->DueObj->Unix - $ticket->CreatedObj->Unix;
    $made{$level} = $ticket->CreatedObj->Unix;
}
print "\n", encode_json({ due => \%due, made => \%made, reckoned => \@reckoned }), "\n";
"""


def hours(name: str, zone: str, *spans: tuple[int, int], off: tuple[str, str] | None = None) -> dict[str, Any]:
    held = [{"start_time": begins, "end_time": ends} for begins, ends in spans]
    days = [{"name": "off", "start_date": off[0], "end_date": off[1]}] if off else []
    return {"id": 1, "name": name, "time_zone": zone, "intervals": held, "holidays": days}


def test_a_drafted_level_of_service_sets_the_due_date_that_was_promised_in_a_real_request_tracker(
    tracker: RequestTracker,
) -> None:
    metrics = [
        {"metric": "first_reply_time", "priority": "high", "target": 60, "business_hours": False},
        {"metric": "requester_wait_time", "priority": "high", "target": 30, "business_hours": False},
        {"metric": "first_reply_time", "priority": "low", "target": 480, "business_hours": False},
        {"metric": "requester_wait_time", "priority": "normal", "target": 95, "business_hours": False},
        {"metric": "requester_wait_time", "priority": "urgent", "target": 77, "business_hours": True},
    ]
    policy = {"title": "it's gold", "filter": {"all": [], "any": []}, "policy_metrics": metrics}
    made = TRACKER.write(ZENDESK.read(policy, "sla"))
    now = datetime.now(UTC)
    round_ = [(day * 1440 + 5, day * 1440 + 1430) for day in range(7)]
    week = [(day * 1440 + 540, day * 1440 + 720) for day in range(1, 6)]
    week += [(day * 1440 + 780, day * 1440 + 1075) for day in range(1, 6)] + [(6 * 1440 + 1320, 7 * 1440)]
    soon = (f"{now - timedelta(days=1):%Y-%m-%d}", f"{now + timedelta(days=2):%Y-%m-%d}")
    calendars = ZENDESK.calendars({"schedules": [
        hours("it's ours", "Berlin", *round_, off=soon),
        hours("without", "Berlin", *round_),
        hours("week", "Auckland", *week, off=("2027-03-01", "2027-03-03")),
        hours("week without", "Auckland", *week),
    ]})  # fmt: skip
    dice = random.Random(2)
    begins = int(datetime(2027, 2, 20, tzinfo=UTC).timestamp())
    some = [(minutes, begins + dice.randrange(86_400 * 20)) for minutes in (1, 77, 431, 2003) for _ in range(12)]
    times = [(name, *one) for name in ("week", "week without") for one in some]
    places = {name: str(held.zone) for name, held in calendars.items()}
    person = {"Name": "asks", "EmailAddress": "asks@firm.example", "Privileged": 1}
    right = {"UserId": "asks", "Right": "SuperUser", "ObjectType": "RT::System", "ObjectId": 1}
    tracker.initialdata({"Users": [person], "ACL": [right]})
    tracker.rows("UPDATE Queues SET SLADisabled = 0 WHERE Name = 'General'")
    drafts = {tracker.folder / "conf.d" / name: text for name, text in TRACKER.files([made], calendars).items()}
    asked = {
        "levels": list(made.native[0]["Levels"]),
        "times": [(name, places[name], minutes, time) for name, minutes, time in times],
    }
    try:
        for draft, text in drafts.items():
            draft.write_text(text, encoding="utf-8")
        done = subprocess.run(
            ["perl", "-e", MAKE], input=json.dumps(asked), capture_output=True, text=True,
            timeout=300, env={**os.environ, **tracker.environment}, check=False,
        )  # fmt: skip
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    due, at = told["due"], told["made"]["it's gold (urgent)"]
    ours = {name: held.after(at / 3600, 77 / 60) for name, held in calendars.items()}
    assert due.pop("it's gold (urgent)") == pytest.approx(ours["it's ours"] * 3600 - at, abs=1)
    assert ours["it's ours"] - ours["without"] > 20  # without the days off it would have been due days before
    assert due == {"it's gold (high)": 1800, "it's gold (low)": 28800, "it's gold (normal)": 5700}
    expected = [calendars[name].after(time / 3600, minutes / 60) * 3600 for name, minutes, time in times]
    assert told["reckoned"] == pytest.approx(expected, abs=1)
    half = len(times) // 2
    assert any(abs(one - other) > 3600 for one, other in zip(expected[:half], expected[half:], strict=True))
