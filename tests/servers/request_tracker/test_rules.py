"""Translated triggers as scrips of a real Request Tracker act on the same updates as the source's rule, and translated
views as saved searches show the same tickets.

The scrips are inserted in the form in which they would be written; what they do is replaced by taking note, so that
none sets off another. The updates are made by RT's own classes, one TransactionBatch each, as its interfaces make them.
"""

from __future__ import annotations

import json
import os
import random
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
our ($at, %acted, @ids) = (-1);
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
    push @ids, $id;
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
print encode_json({ ids => \@ids, map { ($_ => [sort { $a <=> $b } keys %{ $acted{$_} }]) } keys %acted });
"""
# Runs saved searches as their pages do.
SEARCH = r"""
use strict; use warnings; use JSON::PP; use lib '/usr/share/request-tracker5/lib'; use RT;
RT->LoadConfig; RT->Init;
my @found;
for my $query (@{ decode_json(join '', <STDIN>) }) {
    my $tickets = RT::Tickets->new(RT->SystemUser);
    my ($ok, $why) = $tickets->FromSQL($query);
    die "$why: $query" unless $ok;
    push @found, [map { $_->id + 0 } @{ $tickets->ItemsArrayRef }];
}
print encode_json(\@found);
"""
ODD = "it's\\\"(x)"  # a tag that some of the tickets have


def asked(number: int) -> list[Native]:
    """Return invented conditions of views."""
    dice = random.Random(8)
    listed: list[tuple[str, tuple[str, ...], tuple[Any, ...]]] = [
        ("status", ("is", "is_not"), ("open", "pending", "solved", "new", "closed", "hold")),
        ("status", ("less_than", "greater_than"), ("solved", "pending")),
        ("priority", ("is", "is_not"), ("", "low", "normal", "urgent")),
        ("priority", ("less_than", "greater_than"), ("high", "normal")),
        ("assignee_id", ("is", "is_not"), ("", "7")),
        ("requester_id", ("is", "is_not"), ("8",)),
        ("group_id", ("is", "is_not"), ("21",)),
        ("type", ("is", "is_not"), ("", "incident")),
        ("current_tags", ("includes", "not_includes"), ("vip bug", "late", ODD)),
        ("NEW", ("greater_than", "less_than", "is"), ("24", "48")),
        ("updated_at", ("greater_than", "less_than", "is"), ("24", "25")),
        ("SOLVED", ("greater_than", "less_than", "is"), ("24", "47")),
    ]
    leaves: list[Native] = [
        {"field": field, "operator": operator, "value": value}
        for field, operators, values in listed
        for operator in operators
        for value in values
    ]
    singles = [{"all": [leaf], "any": []} for leaf in leaves]
    return singles + [
        {"all": dice.sample(leaves, dice.choice((1, 2, 3))), "any": dice.sample(leaves, dice.choice((0, 2, 3)))}
        for _ in range(number)
    ]


def searched(tracker: RequestTracker, known: dict[str, str], some: list[Any], ids: list[int]) -> list[Native]:
    """Return the conditions whose search, called good, shows other tickets than the view."""
    wanted, queries = [], []
    for conditions in asked(40):
        made = TRACKER.write(ZENDESK.read({"title": "x", "conditions": conditions, "execution": {}}, "view"))
        if all(one.verdict in ("exact", "equivalent") for one in made.findings if one.place == "when"):
            wanted.append(conditions)
            queries.append(re.sub(r"<\w+:\d+>", lambda found: known[found[0]], made.native[0]["Query"]))
    assert len(wanted) > 50
    for id, one in zip(ids, some, strict=True):
        hours = one["hours"]
        past = {"Created": hours["created"], "LastUpdated": hours["updated"], "Resolved": hours["status:solved"]}
        for column, since in past.items():
            at = None if since is None else f"-{round(since * 3600)} seconds"
            tracker.rows(f"UPDATE Tickets SET {column} = datetime('now', ?) WHERE id = ?", at, id)
    done = ran(tracker, SEARCH, queries)
    assert done.returncode == 0, done.stderr[-3000:]
    differing = []
    for conditions, query, found in zip(wanted, queries, json.loads(done.stdout.splitlines()[-1]), strict=True):
        expected = {ids[place] for place, one in enumerate(some) if zendesk(conditions, one)}
        if set(found) != expected:
            differing.append({"asked": conditions, "query": query, "found": sorted(found), "not": sorted(expected)})
    return differing


def ran(tracker: RequestTracker, script: str, given: Any) -> subprocess.CompletedProcess[str]:
    """Run a script with Request Tracker's own modules on what is given as JSON."""
    environment = {**os.environ, **tracker.environment}
    return subprocess.run(
        ["perl", "-e", script],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        check=False,
    )


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
    for at, one in enumerate(some):
        one["tags"] = [*one["tags"], ODD] if at % 3 == 0 else one["tags"]
    try:
        done = ran(tracker, PLAY, {"updates": [played(one) for one in some]})
        assert done.returncode == 0, done.stderr[-3000:]
        acted = json.loads(done.stdout.splitlines()[-1])
        assert searched(tracker, known, some, acted.pop("ids")) == []
    finally:
        lifecycle.unlink()
    differing = []
    for at, conditions in enumerate(wanted):
        expected = [place for place, one in enumerate(some) if zendesk(conditions, one)]
        if acted.get(str(at), []) != expected:
            differing.append((conditions, acted.get(str(at), []), expected))
    assert differing == [], json.dumps(differing) + done.stderr[-3000:]
