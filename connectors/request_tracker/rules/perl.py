"""Our conditions as Perl, for a scrip's CustomIsApplicableCode. Every value is a single-quoted string.

A scrip in the stage TransactionBatch sees all transactions of one update, as other vendors' rules do. What each leaf
answers where a value is missing is an argument of the Perl that tests it.
"""

from __future__ import annotations

from collections.abc import Sequence

from migrator.rules.conditions import Actor, All, Changed, Condition, Event, Is, Leaf, Path, Same, Tags, Text, Value
from migrator.rules.conditions import Any as AnyOf
from migrator.rules.natives import field_name
from migrator.rules.sql import plain_value, word_pattern

from . import names

PRELUDE = r"""my $t = $self->TicketObj;
my @x = @{ $t->TransactionBatch || [] };
my $created = grep { $_->Type eq 'Create' } @x;
my ($said) = grep { $_->Type =~ /^(?:Create|Correspond|Comment)$/ } @x;
my $public = defined $said ? ($said->Type eq 'Comment' ? 'false' : 'true') : undef;
my $actor = @x ? $x[0]->Creator : undef;
my $nobody = RT->Nobody->id;
my $someone = sub { my ($id) = @_; return defined $id && $id ne $nobody ? $id : undef };
my $is = sub {
    my ($value, $null, $negated, @of) = @_;
    return $null unless defined $value && length $value;
    my $in = grep { defined $_ && $_ eq $value } @of;
    return ($in xor $negated) ? 1 : 0;
};
my $matches = sub {
    my ($value, $null, $negated, $all, @of) = @_;
    return $null unless defined $value && length $value;
    my $found = grep { $value =~ /$_/i } @of;
    return (($all ? $found == @of : $found) xor $negated) ? 1 : 0;
};
my $changed = sub {
    my ($field) = @_;
    my @of = grep { defined $_->Field && $_->Field eq $field } @x;
    return $created || !@of ? undef : [ $of[0]->OldValue, $of[-1]->NewValue ];
};
my %tag = map { ($_->Content => 1) } @{ $t->CustomFieldValues('Tags')->ItemsArrayRef };
"""
READ = {  # path to the Perl that reads it
    "ticket.status": "$t->Status",
    "ticket.priority": "$t->Priority",
    "ticket.group": "$t->Queue",
    "ticket.assignee": "$someone->($t->Owner)",
    "ticket.requester": "$t->Requestors->UserMembersObj->First->id",
    "ticket.subject": "$t->Subject",
    "comment.public": "$public",
    "actor.role": "(@x ? ($x[0]->CreatorObj->Privileged ? 'agent' : 'end_user') : undef)",
}
FIELDS = {"ticket.status": "Status", "ticket.priority": "Priority", "ticket.assignee": "Owner", "ticket.group": "Queue"}


def quoted(text: str) -> str:
    """Return a Perl string that holds exactly this text."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def read(at: Path) -> str | None:
    """Return the Perl that reads a value, or None where Request Tracker does not know it."""
    if at.custom and at.of == "ticket":
        return f"$t->FirstCustomFieldValue({quoted(field_name(at.custom))})"
    if str(at) == "ticket.channel":
        return f"$t->FirstCustomFieldValue({quoted(names.CAME_BY)})"
    if str(at) == "ticket.type":
        return "$t->FirstCustomFieldValue('Type')"
    return READ.get(str(at))


def value(at: Path, one: Value | None) -> str | None:
    """Return a value as Perl, or None where there is no such."""
    if isinstance(one, Actor):
        return "$actor" if one.who == "current_user" else None
    held = None if one is None else plain_value(one)
    if str(at) == "ticket.status":
        held = names.WRITTEN_STATUSES.get(str(held))
    elif str(at) == "ticket.priority":
        held = str(names.PRIORITIES[held]) if held and held in names.PRIORITIES else None
    elif one is not None and one.type == "ref":
        held = f"<{'queue' if one.kind == 'group' else one.kind}:{held}>"
    return None if held is None else quoted(held)


def values(at: Path, some: Sequence[Value | None]) -> str | None:
    """Return values as a Perl list, or None where one of them does not exist."""
    made = [value(at, one) for one in some]
    return None if None in made else ", ".join(str(one) for one in made)


def condition(node: Condition) -> str | None:
    """Return a condition in NNF as Perl; None where a leaf of it has no Perl."""
    if isinstance(node, All | AnyOf):
        parts = [condition(part) for part in node.of]
        word, none = (" && ", "1") if isinstance(node, All) else (" || ", "0")
        return None if None in parts else f"({word.join(str(part) for part in parts)})" if parts else none
    return leaf(node)  # type: ignore[arg-type]


def leaf(one: Leaf) -> str | None:
    """Return one condition as Perl, or None."""
    if isinstance(one, Is):
        return _is(one)
    if isinstance(one, Text):
        return _text(one)
    if isinstance(one, Same):
        here, there = read(one.path), read(one.other)
        return here and there and f"$is->({here}, {int(one.null)}, {int(one.negated)}, {there})"
    if isinstance(one, Tags):
        found = [f"$tag{{{quoted(tag)}}}" for tag in one.tags]
        joined = (" && " if one.need == "all" else " || ").join(found) or "%tag"
        return f"{'!' if one.negated else ''}({joined})"
    if isinstance(one, Event):
        tests = {"created": "$created", "updated": "!$created", "commented": "defined $said"}
        if not set(one.kinds) <= set(tests):
            return None
        return f"{'!' if one.negated else ''}({' || '.join(tests[kind] for kind in one.kinds)})"
    return _changed(one) if isinstance(one, Changed) else None


def _is(one: Is) -> str | None:
    at, null, negated = read(one.path), int(one.null), int(one.negated)
    listed = values(one.path, one.values)
    return None if at is None or listed is None else f"$is->({at}, {null}, {negated}, {listed or '()'})"


def _text(one: Text) -> str | None:
    at = read(one.path)
    if at is None or one.mode in ("regex", "equal"):
        return None
    shapes = {"word": "{}", "phrase": "{}", "substring": "{}", "starts": "^{}", "ends": "{}$"}
    patterns = []
    for needle in one.needles:
        whole = word_pattern(needle)
        bare = whole.removeprefix(r"(^|\W)").removesuffix(r"(\W|$)")
        patterns.append(quoted(whole if one.mode in ("word", "phrase") else shapes[one.mode].format(bare)))
    return f"$matches->({at}, {int(one.null)}, {int(one.negated)}, {int(one.need == 'all')}, {', '.join(patterns)})"


def _changed(one: Changed) -> str | None:
    name = FIELDS.get(str(one.path))
    if name is None:
        return None
    tests = [f"$changed->({quoted(name)})"]
    for at, some in ((0, one.before), (1, one.after)):
        if some is not None:
            listed = values(one.path, some)
            if listed is None:
                return None
            held = f"$changed->({quoted(name)})->[{at}]"
            tests.append(f"$is->({f'$someone->({held})' if name == 'Owner' else held}, 0, 0, {listed or '()'})")
    return f"{'!' if one.negated else ''}({' && '.join(tests)})"
