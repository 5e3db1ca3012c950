"""The Perl of a scrip's condition, run by Perl itself on stubs of tickets and transactions, acts as the source's rule.

What it stands on are RT's method names (lib/RT/Ticket.pm, Transaction.pm); the stubs are no Request Tracker.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from typing import Any

import pytest

from migrator.rules.conditions import All, Lit, Tags, Text, path
from migrator.rules.rule import Comment, Hook, Mail, Recipient, Rule, SetField, SetTags
from migrator.rules.template import Said, Template
from tests.support.connectors import connector
from tests.support.rule_engines import Native, Update, zendesk
from tests.support.rule_worlds import updates

ZENDESK: Any = connector("zendesk.rules")
TRACKER: Any = connector("request_tracker.rules")
UPDATES = updates(120, seed=11)
PERL = shutil.which("perl")

# Of one update: the ticket as it is now, and one transaction for each thing that happened.
STUBS = r"""
use strict; use warnings; use JSON::PP;
package RT; sub Nobody { return bless { id => 6 }, 'Thing' }
package Thing; our $AUTOLOAD;
sub AUTOLOAD {
    my ($self, @rest) = @_;
    my ($name) = $AUTOLOAD =~ /(\w+)$/;
    return if $name eq 'DESTROY';
    my $value = $self->{$name};
    return ref $value eq 'CODE' ? $value->(@rest) : $value;
}
package main;
sub thing { return bless { @_ }, 'Thing' }
my $world = decode_json(join '', <STDIN>);
sub compiled {
    my $code = "sub { my \$self = shift;\nno strict; no warnings;\n$_[0]\n}";
    my $sub = eval $code;
    die "$@\n$code" if $@;
    return $sub;
}
my @codes = map { compiled($_) } @{ $world->{codes} };
my @answers;
for my $code (@codes) {
    push @answers, join '', map {
        my $one = $_;
        my @tags = map { thing(Content => $_) } @{ $one->{tags} };
        my @batch = map { thing(%$_) } @{ $one->{batch} };
        my $first = thing(id => $one->{requester});
        my $ticket = thing(
            %{ $one->{ticket} }, TransactionBatch => \@batch,
            Requestors => thing(UserMembersObj => thing(First => $first)),
            CustomFieldValues => sub { thing(ItemsArrayRef => \@tags) },
            FirstCustomFieldValue => sub { $one->{type} },
        );
        $code->(thing(TicketObj => $ticket)) ? 1 : 0;
    } @{ $world->{updates} };
}
print encode_json(\@answers);
"""
# With the two statuses that a lifecycle adds, and the tickets moved into them.
STATUSES = {"pending": "stalled", "solved": "resolved"}
PRIORITIES = {None: 0, "low": 0, "normal": 50, "high": 100, "urgent": 100}


def moved(update: Update) -> dict[str, Any]:
    """Return an update as Request Tracker would have it: people without an owner are Nobody, 6."""

    def value(name: str, held: Any) -> Any:
        kinds = {"status": STATUSES.get(held, held), "assignee": held or "6"}
        return PRIORITIES[held] if name == "priority" else kinds[name]

    fields = {"status": "Status", "priority": "Priority", "assignee": "Owner"}
    batch: list[dict[str, Any]] = []
    if update["event"] == "created":
        batch.append({"Type": "Create", "Creator": update["actor"]})
    elif update["comment"] is not None:
        batch.append({"Type": "Correspond" if update["comment"]["public"] else "Comment", "Creator": update["actor"]})
    for name, before in update["before"].items():
        sides = {"OldValue": value(name, before), "NewValue": value(name, update[name])}
        if sides["OldValue"] != sides["NewValue"]:  # of two values that are one there, no transaction comes
            batch.append({"Type": "Set", "Field": fields[name], "Creator": update["actor"], **sides})
    if not batch:
        batch.append({"Type": "Set", "Field": "Subject", "Creator": update["actor"]})
    ticket = {field: value(name, update[name]) for name, field in fields.items()}
    ticket |= {"Queue": update["group"], "Subject": update["subject"]}
    return {"ticket": ticket, "batch": batch, **{name: update[name] for name in ("tags", "requester", "type")}}


def perl(codes: list[str], some: list[Update]) -> list[list[bool]]:
    """Return for each code on which updates it holds."""
    assert PERL
    bare = [code.replace("<user:", "").replace("<queue:", "").replace(">'", "'") for code in codes]
    world = json.dumps({"codes": bare, "updates": [moved(one) for one in some]})
    done = subprocess.run([PERL, "-e", STUBS], input=world, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [[mark == "1" for mark in answer] for answer in json.loads(done.stdout)]


def drawn(number: int) -> list[Native]:
    """Return invented conditions; drawn by ourselves, so that Perl starts once."""
    dice = random.Random(4)
    both = ("is", "is_not")
    within = ("includes", "not_includes")
    listed: list[tuple[str, tuple[str, ...], tuple[Any, ...]]] = [
        ("status", (*both, "value", "value_previous"), ("open", "pending", "solved", "new")),
        ("status", ("less_than", "not_value_previous"), ("solved",)),
        ("priority", both, ("", "low", "urgent")),
        ("priority", ("less_than", "greater_than", "value"), ("high",)),
        ("assignee_id", both, ("", "current_user", "7")),
        ("assignee_id", ("changed", "not_changed"), (None,)),
        ("requester_id", both, ("current_user",)),
        ("type", both, ("", "incident")),
        ("group_id", ("is_not",), ("21",)),
        ("current_tags", within, ("vip bug",)),
        ("update_type", ("is",), ("Create", "Change")),
        ("comment_is_public", ("is",), ("true", "not_relevant")),
        ("subject_includes_word", within, ("refund", "late now")),
    ]
    leaves: list[Native] = [
        {"field": field, "operator": operator, "value": value}
        for field, operators, values in listed
        for operator in operators
        for value in values
    ]
    singles = [{"all": [leaf], "any": []} for leaf in leaves]
    return singles + [
        {"all": dice.sample(leaves, dice.randint(0, 3)), "any": dice.sample(leaves, dice.choice((0, 1, 2, 3)))}
        for _ in range(number)
    ]


@pytest.mark.skipif(PERL is None, reason="there is no perl")
def test_no_scrip_called_good_acts_otherwise_than_the_rule() -> None:
    wanted, codes = [], []
    some = [one for one in UPDATES if one["event"] == "updated" or one["comment"]["public"]]
    for conditions in drawn(150):
        native = {"title": "a rule", "conditions": conditions, "actions": [{"field": "status", "value": "open"}]}
        made = TRACKER.write(ZENDESK.read(native, "trigger"))
        if all(one.verdict in ("exact", "equivalent") for one in made.findings if one.place == "when"):
            wanted.append(conditions)
            codes.append(made.native[0]["CustomIsApplicableCode"])
    assert len(wanted) > 60
    for conditions, code, answers in zip(wanted, codes, perl(codes, some), strict=True):
        assert answers == [zendesk(conditions, one) for one in some], (conditions, code[-400:])


@pytest.mark.skipif(PERL is None, reason="there is no perl")
def test_no_value_becomes_perl() -> None:
    evil = "'; die 'broken out'; '\\"
    conditions = {
        "all": [{"field": "current_tags", "operator": "includes", "value": evil.replace(" ", "_")}],
        "any": [],
    }
    action = {"field": "comment_value", "value": evil}
    made = TRACKER.write(ZENDESK.read({"title": "x", "conditions": conditions, "actions": [action]}, "trigger"))
    codes = [made.native[0][key] for key in ("CustomIsApplicableCode",)]
    assert perl(codes, UPDATES[:3]) == [[False, False, False]]
    assert PERL
    check = f"sub {{ my $self = shift;\n{made.native[0]['CustomCommitCode']}\n}}\n"
    done = subprocess.run([PERL, "-c", "-e", check], capture_output=True, text=True, timeout=60)
    assert "syntax OK" in done.stderr


# Runs a scrip's condition and what it does on a ticket that holds the very strings, and tells what it was given.
GIVEN = r"""
use strict; use warnings; use JSON::PP; use utf8;
my $world = decode_json(join '', <STDIN>);
my (@given, $subject, $tag);
package RT; sub Nobody { return bless {}, 'Thing' }
package Thing; our $AUTOLOAD;
sub AUTOLOAD {
    my ($self, @rest) = @_;
    my ($name) = $AUTOLOAD =~ /(\w+)$/;
    return if $name eq 'DESTROY';
    return $subject if $name eq 'Subject';
    return $tag if $name eq 'Content' && !@rest;
    return [] if $name eq 'TransactionBatch';
    return [ bless({}, 'Thing') ] if $name eq 'ItemsArrayRef';
    push @given, $rest[-1] if $name =~ /^(?:AddCustomFieldValue|Correspond|SetSubject)$/;
    return bless {}, 'Thing';
}
package main;
my @answers;
for my $one (@$world) {
    my @codes = map {
        my $sub = eval "sub { my \$self = shift;\nno strict; no warnings;\n$_\n}";
        die "$@\n$_" if $@;
        $sub
    } $one->{asks}, $one->{does};
    @given = ();
    ($subject, $tag) = ("a $one->{text} b", $one->{text});
    my $same = $codes[0]->(bless {}, 'Thing') ? 1 : 0;
    ($subject, $tag) = ('another', 'another');
    my $other = $codes[0]->(bless {}, 'Thing') ? 1 : 0;
    $codes[1]->(bless {}, 'Thing');
    push @answers, [$same, $other, @given];
}
print encode_json(\@answers);
"""
SIGNS = [
    "'",
    '"',
    "\\",
    "{",
    "}",
    "$",
    "@",
    "%",
    ";",
    "#",
    "\n",
    "<",
    ">",
    "(?{die})",
    "@{[die]}",
    "$x",
    "E",
    "Q",
    "\\E",
    "=cut",
    "ü",
    "日",
]


@pytest.mark.skipif(PERL is None, reason="there is no perl")
def test_whatever_strings_a_rule_holds_perl_is_given_these_strings_and_nothing_more() -> None:
    dice = random.Random(9)
    texts = ["".join(dice.choices(SIGNS, k=dice.randint(1, 9))) for _ in range(150)]
    texts = [text for text in texts if text.strip()]
    world = []
    for text in texts:
        said = Template(parts=(Said(text=text),))
        when = All(of=(Tags(tags=(text,)), Text(path=path("ticket.subject"), mode="substring", needles=(text,))))
        sets = SetField(path=path("ticket.subject"), value=Lit(value=text))
        do = (SetTags(how="add", tags=(text,)), Comment(public=True, body=said), sets)
        made = TRACKER.write(Rule(vendor="zendesk", kind="trigger", name=text, when=when, do=do))
        (scrip,) = made.native
        world.append({"text": text, "asks": scrip["CustomIsApplicableCode"], "does": scrip["CustomCommitCode"]})
    assert PERL
    done = subprocess.run([PERL, "-e", GIVEN], input=json.dumps(world), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    for text, answer in zip(texts, json.loads(done.stdout), strict=True):
        assert answer == [1, 0, text, text, text], text


def test_a_mail_s_text_comes_back_from_its_template_as_it_was_said() -> None:
    dice = random.Random(10)
    for _ in range(200):
        text = "".join(dice.choices(SIGNS, k=dice.randint(1, 12)))
        said = Template(parts=(Said(text=text),))
        mail = Mail(to=(Recipient(who="requester"),), subject=Template(parts=(Said(text="News"),)), body=said)
        (scrip,) = TRACKER.write(Rule(vendor="zendesk", kind="trigger", name="x", do=(mail,))).native
        assert not set("{}\\") & set(re.sub(r"\{chr\(\d+\)\}", "", scrip["Text"]))
        back = TRACKER.read(scrip, "trigger").do[0]
        assert (back.subject, back.body) == (mail.subject, Template(parts=(Said(text=text + "\n"),)))


@pytest.mark.skipif(PERL is None, reason="there is no perl")
def test_an_address_that_is_called_and_its_text_are_strings() -> None:
    evil = "https://x.example/'.die().'\\"
    hook = Hook(target=evil, body=Template(parts=(Said(text="'; die; '{die}\\"),)))
    (scrip,) = TRACKER.write(Rule(vendor="zendesk", kind="trigger", name="x", do=(hook,))).native
    code = f"sub {{ my $self = shift;\n{scrip['CustomCommitCode']}\n}}\n"
    assert PERL
    done = subprocess.run([PERL, "-c", "-e", code], capture_output=True, text=True, timeout=60)
    assert "syntax OK" in done.stderr
    assert TRACKER.read(scrip, "trigger").name == "x"
