"""Translated triggers as scrips of a real Request Tracker act on the same updates as the source's rule.

The scrips are inserted in the form in which they would be written; what they do is replaced by taking note, so that
none sets off another. The updates are made by RT's own classes, one TransactionBatch each, as its interfaces make them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import Any

from migrator.testing.servers.request_tracker import RequestTracker
from tests.rules.test_perl import drawn
from tests.support.connectors import connector
from tests.support.rule_engines import Native, zendesk
from tests.support.rule_worlds import updates

ZENDESK: Any = connector("zendesk.rules")
TRACKER: Any = connector("request_tracker.rules")
STATUSES = ("new", "open", "stalled", "hold", "resolved", "closed", "rejected", "deleted")
NAMES = {"pending": "stalled", "solved": "resolved"}
PRIORITIES = {None: 0, "low": 0, "normal": 50, "high": 100, "urgent": 100}

# The lifecycle with the two statuses that translated rules ask for.
LIFECYCLE = """
Set(%Lifecycles, default => {
    initial => ['new'], active => ['open', 'stalled', 'hold'],
    inactive => ['resolved', 'closed', 'rejected', 'deleted'],
    defaults => { on_create => 'new' },
    transitions => { '' => [ALL], map { ($_ => [ALL]) } (ALL) },
    rights => { '* -> *' => 'ModifyTicket' }, actions => [],
});
1;
"""
PLAY = r"""
use strict; use warnings; use JSON::PP; use lib '/usr/share/request-tracker5/lib'; use RT;
RT->LoadConfig; RT->Init;
our ($at, %acted) = (-1);
my $world = decode_json(join '', <STDIN>);
my %field = map { my $f = RT::CustomField->new(RT->SystemUser); $f->Load($_); ($_ => $f->id) } qw(Tags Type);
my $user = sub { my $u = RT::CurrentUser->new; $u->Load(defined $_[0] ? "user$_[0]" : 'Nobody'); $u };
my $done = sub { my ($ok, $why) = @_; die "not done: $why" unless $ok };
my $number = 0;
for my $one (@{ $world->{updates} }) {
    my %first = (%{ $one->{now} }, %{ $one->{before} });
    my $ticket = RT::Ticket->new($one->{created} ? $user->($one->{actor}) : RT->SystemUser);
    $at = $one->{created} ? $number : -1;
    my ($id, undef, $why) = $ticket->Create(
        Queue => "group$one->{group}", Subject => $one->{subject} // '', Requestor => "user$one->{requester}",
        Status => $first{status}, Priority => $first{priority}, Owner => $user->($first{assignee})->id,
        "CustomField-$field{Tags}" => $one->{tags}, ($one->{type} ? ("CustomField-$field{Type}" => $one->{type}) : ()),
    );
    $done->($id, $why);
    $one->{created} ? $ticket->ApplyTransactionBatch : $ticket->RanTransactionBatch(1);
    if (!$one->{created}) {
        $at = $number;
        $ticket = RT::Ticket->new($user->($one->{actor}));
        $ticket->Load($id);
        my $method = { reply => 'Correspond', note => 'Comment' }->{ $one->{said} // '' };
        $done->($ticket->$method(Content => 'words')) if $method;
        my %now = %{ $one->{now} };
        my $some = $method;
        # As RT's own pages do (Interface/Web.pm, ProcessTicketBasics): the owner last, since SetOwner ends the batch.
        for my $name (grep { exists $one->{before}{$_} } qw(priority status assignee)) {
            my $value = $name eq 'assignee' ? $user->($now{assignee})->id : $now{$name};
            my $was = $name eq 'assignee' ? $ticket->Owner : $ticket->_Value(ucfirst $name);
            next if $was eq $value;
            my %set = (status => 'SetStatus', priority => 'SetPriority', assignee => 'SetOwner');
            my $set = $set{$name};
            $done->($ticket->$set($value, $name eq 'assignee' ? 'Force' : ()));
            $some = 1;
        }
        $done->($ticket->SetTimeLeft(5)) unless $some;
        $ticket->ApplyTransactionBatch;
    }
    $number++;
}
print encode_json({ map { ($_ => [sort { $a <=> $b } keys %{ $acted{$_} }]) } keys %acted });
"""


def played(update: dict[str, Any]) -> dict[str, Any]:
    """Return an update in Request Tracker's values."""

    def value(name: str, held: Any) -> Any:
        return PRIORITIES[held] if name == "priority" else NAMES.get(held, held) if name == "status" else held

    fields = ("status", "priority", "assignee")
    said = None if update["comment"] is None else "reply" if update["comment"]["public"] else "note"
    return {
        "created": update["event"] == "created",
        "said": said,
        "now": {name: value(name, update[name]) for name in fields},
        "before": {name: value(name, was) for name, was in update["before"].items()},
        **{name: update[name] for name in ("actor", "group", "subject", "requester", "tags", "type")},
    }


def furnished(tracker: RequestTracker) -> dict[str, str]:
    """Make people, queues and fields; return what ``<user:7>`` and ``<queue:21>`` are there."""
    people = [{"Name": f"user{at}", "EmailAddress": f"user{at}@desk.example", "Privileged": 1} for at in (7, 8, 9)]
    rights = [
        {"UserId": one["Name"], "Right": "SuperUser", "ObjectType": "RT::System", "ObjectId": 1} for one in people
    ]
    fields = [{"Name": "Tags", "Type": "FreeformMultiple"}, {"Name": "Type", "Type": "FreeformSingle"}]
    tracker.initialdata(
        {
            "Users": people,
            "Queues": [{"Name": f"group{at}"} for at in (21, 22)],
            "CustomFields": [{**one, "LookupType": "RT::Queue-RT::Ticket", "ApplyTo": 0} for one in fields],
            "ACL": rights,
        }
    )
    tracker.rows("UPDATE Scrips SET Disabled = 1")  # the stock ones answer and reopen by themselves
    known = {f"<user:{at}>": tracker.rows("SELECT id FROM Users WHERE Name = ?", f"user{at}") for at in (7, 8, 9)}
    known |= {f"<queue:{at}>": tracker.rows("SELECT id FROM Queues WHERE Name = ?", f"group{at}") for at in (21, 22)}
    return {name: str(rows[0][0]) for name, rows in known.items()}


def test_no_scrip_called_good_acts_otherwise_than_the_rule_in_a_real_request_tracker(tracker: RequestTracker) -> None:
    known = furnished(tracker)
    wanted: list[Native] = []
    scrips: list[Native] = []
    for conditions in drawn(40)[::3]:
        native = {"title": f"rule {len(wanted)}", "conditions": conditions, "actions": []}
        made = TRACKER.write(ZENDESK.read({**native, "actions": [{"field": "status", "value": "open"}]}, "trigger"))
        if all(one.verdict in ("exact", "equivalent") for one in made.findings if one.place == "when"):
            code = re.sub(r"<\w+:\d+>", lambda found: known[found[0]], made.native[0]["CustomIsApplicableCode"])
            notes = f"$main::acted{{{len(wanted)}}}{{$main::at}} = 1 if $main::at >= 0; return 1;\n"
            scrips.append({**made.native[0], "CustomIsApplicableCode": code, "CustomCommitCode": notes, "Disabled": 0})
            wanted.append(conditions)
    assert len(wanted) > 20
    tracker.initialdata({"Scrips": [{**one, "Queue": 0} for one in scrips]})
    some = [one for one in updates(28, seed=21) if one["event"] == "updated" or one["comment"]["public"]]
    lifecycle = tracker.folder / "conf.d" / "lifecycle.pm"
    listed = ", ".join(f"'{name}'" for name in STATUSES)
    lifecycle.write_text(LIFECYCLE.replace("ALL", listed))
    try:
        world = json.dumps({"updates": [played(one) for one in some]})
        environment = {**os.environ, **tracker.environment}
        done = subprocess.run(
            ["perl", "-e", PLAY], input=world, capture_output=True, text=True, timeout=120, env=environment, check=False
        )
    finally:
        lifecycle.unlink()
    assert done.returncode == 0, done.stderr[-3000:]
    acted = json.loads(done.stdout.splitlines()[-1])
    differing = []
    for at, conditions in enumerate(wanted):
        expected = [place for place, one in enumerate(some) if zendesk(conditions, one)]
        if acted.get(str(at), []) != expected:
            differing.append((conditions, acted.get(str(at), []), expected))
    assert differing == [], json.dumps(differing) + done.stderr[-3000:]
