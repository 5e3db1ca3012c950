"""The two rule sets of a replay: the account's own, and what the destination's reader makes of what is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from migrator.rules.conditions import Condition, Days, Elapsed, Is, Leaf, Lit, leaves, path
from migrator.rules.dialect import Dialect
from migrator.rules.meaning import answered
from migrator.rules.replay import Side
from migrator.rules.rule import Rule, SetField, SetTags
from migrator.rules.verdicts import Translation

# A value that every vendor knows, of what is not a plain text; low is a priority.
PROBES = {"ticket.status": "open", "ticket.channel": "email", "ticket.type": "question"}
Held = Mapping[str, Mapping[str | None, str | None]]
Set = list[tuple[str, Rule]]  # whose translation each is (empty: a helper), and the rule


def sides(
    source: Dialect,
    destination: Dialect,
    made: Sequence[Translation],
    keys: Iterable[str],
    anchors: frozenset[str] = frozenset(),
) -> tuple[Side, Side, dict[str, str]]:
    """Return both rule sets, and which rules are in neither, with the reason: histories do not tell what they ask for.

    ``keys``: the paths of which the histories tell; ``anchors``: since when they tell hours. A rule that cannot be
    written is missing at the destination.
    """
    labels = _labels([one.rule.name for one in made])
    keys = frozenset(keys)
    here: Set = list(zip(labels, (one.rule for one in made), strict=True))
    there = _written(destination, made, labels)
    probes = {key: _probe(destination, key) for key in keys}
    names = {key: _there(destination, key, probe) for key, probe in probes.items()}
    sets = {str(act.path): act.value for _, rule in there for act in rule.do if isinstance(act, SetField)}
    told = frozenset(names.values()) | frozenset(sets)
    since = anchors | {f"field:{at}" for at, value in sets.items() if anchors and isinstance(value, Days)}
    lost: dict[str, str] = {}
    for of, rule in here:
        if missing := _untold(rule.when, keys, anchors):
            lost.setdefault(of, f"the histories do not tell: {', '.join(missing)}")
    for of, rule in there:
        if missing := _untold(rule.when, told, since):
            lost.setdefault(of, f"the histories do not tell: {', '.join(missing)}")
    here = [(of, rule) for of, rule in here if of not in lost]
    # A helper that cannot be followed is left out by itself.
    there = [(of, rule) for of, rule in there if (of not in lost if of else not _untold(rule.when, told, since))]
    shown = {key: probe.moved.get(key, {}) for key, probe in probes.items()}
    return _side(source, here), _side(destination, there, shown, names), {of: why for of, why in lost.items() if of}


def _side(of: Dialect, some: Set, here: Held | None = None, names: Mapping[str, str] | None = None) -> Side:
    """Return a rule set as its vendor runs it: what waits for updates, and what runs by the clock."""
    waiting = [(whose, rule) for whose, rule in some if rule.kind != "timed"]
    timed = [(whose, rule) for whose, rule in some if rule.kind == "timed"]
    return Side(
        tuple(rule for _, rule in waiting),
        of.POLICY,
        tuple(whose for whose, _ in waiting),
        here or {},
        names or {},
        tuple(rule for _, rule in timed),
        tuple(whose for whose, _ in timed),
        getattr(of, "CLOCK", None),
    )


def _labels(names: Sequence[str]) -> list[str]:
    """Return a name for each rule that no other has."""
    seen: Counter[str] = Counter()
    made = []
    for name in names:
        seen[name] += 1
        made.append(name or "(no name)" if seen[name] == 1 else f"{name or '(no name)'} ({seen[name]})")
    return made


def _written(dialect: Dialect, made: Sequence[Translation], labels: Sequence[str]) -> Set:
    """Return the translations, and the helper rules they need, as the destination's own reader has them."""
    written = [at for at, one in enumerate(made) if one.verdict not in ("untranslatable", "unreadable")]
    helpers = {(need.kind, need.name): need for at in written for need in made[at].needs if need.native}
    found: Set = [
        ("", dialect.read(need.native or {}, "timed" if kind == "automation" else "trigger"))
        for (kind, _), need in helpers.items()
        if kind in ("trigger", "automation", "scrip")
    ]
    return found + [
        (labels[at], dialect.read(native, made[at].rule.kind)) for at in written for native in made[at].native
    ]


def _probe(dialect: Dialect, key: str) -> Translation:
    """Return a rule that asks for one value of a path, in the vendor's words: it tells how the path is held there."""
    probe = Is(path=path(key), values=(Lit(value=PROBES.get(key, "low")),))
    act = SetTags(how="add", tags=("probe",))
    return dialect.write(Rule(vendor="", kind="trigger", name="probe", when=probe, do=(act,)))


def _there(dialect: Dialect, key: str, probe: Translation) -> str:
    """Return the path as the vendor's own reader names it; the same where it has no such."""
    for native in probe.native:
        for leaf in leaves(dialect.read(native, "trigger").when):
            if isinstance(leaf, Is) and leaf.values and str(leaf.path) != "actor.role":
                return str(leaf.path)
    return key


def _untold(condition: Condition, known: frozenset[str], anchors: frozenset[str]) -> list[str]:
    """Return what a condition asks for that histories which tell of these paths and hours do not tell."""
    told = known | {"comment.public", "comment.body", "actor.role"}
    asked = (leaf for leaf in leaves(condition) if not answered(leaf, told, anchors))
    return list(dict.fromkeys(_named(leaf) for leaf in asked))


def _named(leaf: Leaf) -> str:
    if isinstance(leaf, Elapsed):
        return f"{'working ' if leaf.clock == 'business' else ''}hours since {leaf.anchor.replace('status:', '')}"
    return str(getattr(leaf, "path", leaf.type))
