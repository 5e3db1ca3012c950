"""Why a record is written, kept, merged, left to a person or left behind: the cases of its kind, in order."""

from __future__ import annotations

from migrator.compile import flagged, name, quoted
from migrator.crossing import ARRIVES, Crossing, writable
from migrator.live import OTHER, WAITS
from migrator.manifest import Write
from migrator.mapping import word
from migrator.native import limited

Case = tuple[str, str, str]  # (condition, action, reason), all but the action as SQL on the record ``w``


def judged(crossing: Crossing) -> str:
    """Return the SQL value {a: action, r: reason} of a record."""
    when = " ".join(
        f"WHEN {test} THEN {{'a': {quoted(action)}, 'r': {reason}}}" for test, action, reason in cases(crossing)
    )
    # What an ordinary plan writes says so last, so that what no plan writes keeps its own reason.
    waits = f"WHEN w._unselected = {quoted(OTHER)} THEN {{'a': 'skip', 'r': w._unselected}}"
    return f"CASE {when} {waits} ELSE {{'a': 'create', 'r': ''}} END"


def cases(crossing: Crossing) -> list[Case]:
    """Return what keeps a record from being created, in the order in which it counts."""
    kind, write, title = crossing.kind, crossing.write, crossing.manifest.title
    found = [*_written(crossing), *skipped(crossing), *_left_out(crossing), *_owner_left(crossing)]
    if write is None:
        return [*found, ("TRUE", "manual", quoted(f"{title} has no place for a {_words(crossing.kind_name)}"))]
    if kind.rule:
        found += [(f"w._does = {quoted(does)}", does, "w._why") for does in ("manual", "skip")]
    if stays := write.skip or write.left or (None if write.match_only or write.create else write.manual):
        return [*found, ("TRUE", "manual" if write.manual else "skip", quoted(stays))]
    found += [*_not_taken(crossing, write), *_alike(crossing, write)]
    if write.match_only and not (crossing.without_seat == "create" and write.create):
        return [*found, *_without_seat(crossing, write)]
    if alone := write.named or write.unnamed:
        found.append((f"NOT {named_by(crossing)}", "skip", quoted(alone)))
    return [*found, *_by_owner(crossing, write), *_ended(crossing)]


def skipped(crossing: Crossing, *, there: bool = True) -> list[Case]:
    """Return what keeps a record from being written by what it is; ``there``: it is known what the destination has."""
    found: list[Case] = []
    for label, spec in crossing.kind.fields.items():
        if spec.skip and not (spec.skip.unless_written and crossing.write and crossing.write.makes):
            needed = f" AND NOT {_referenced(crossing)}" if spec.skip.unless_referenced else ""
            needed += " AND w._there IS NULL" if spec.skip.unless_there and there else ""
            found.append((f"(w.{name(label)}{needed})", "skip", quoted(spec.skip.because)))
    return found


def named_by(crossing: Crossing, *, decided: bool = False) -> str:
    """Return the test for records that a record which is written names: not one that is deleted, or left out; nor, once
    all is ``decided``, one that stays behind for another reason.
    """
    kinds, kind_name = crossing.kinds, crossing.kind_name
    uses = []
    for other_name, other in kinds.kinds.items():
        written = {
            label
            for _, write in writable(crossing.manifest, crossing.mapping, other_name)
            for label, keep in write.fields.items()
            if keep.write != "never" and (not keep.kinds or kind_name in keep.kinds)
        }
        for label, spec in other.references():
            if kind_name in spec.to and label in written:
                value = f"unnest({name(label)})" if spec.type == "refs" else name(label)
                arrives = (
                    f"SELECT id FROM plan.decided WHERE kind = {quoted(other_name)} "
                    f"AND (action IN ('create', 'update', 'keep') OR reason = {quoted(WAITS)})"
                )
                uses.append(
                    f"SELECT {value} AS id FROM canonical.{name(other_name)} o WHERE NOT {flagged(other, 'o')} AND "
                    f"o.id NOT IN (SELECT id FROM plan.unselected WHERE kind = {quoted(other_name)})"
                    + (f" AND o.id IN ({arrives})" if decided else "")
                )
    return _among(uses)


def _words(kind_name: str) -> str:
    return kind_name.replace("_", " ")


def _among(uses: list[str]) -> str:
    """Return the test for records whose id one of these queries gives."""
    return f"(w.id IN (SELECT id FROM ({' UNION ALL '.join(uses)}) WHERE id IS NOT NULL))" if uses else "FALSE"


def _referenced(crossing: Crossing) -> str:
    uses = []
    for other_name, other in crossing.kinds.kinds.items():
        for label, spec in other.references():
            if crossing.kind_name in spec.to:
                value = f"unnest({name(label)})" if spec.type == "refs" else name(label)
                uses.append(f"SELECT {value} AS id FROM canonical.{name(other_name)}")
    return _among(uses)


def _unselected(kind_name: str) -> str:
    return f"SELECT id FROM plan.unselected WHERE kind = {quoted(kind_name)}"


# ---- the cases, in their order --------------------------------------------------------------------------------------


def _written(crossing: Crossing) -> list[Case]:
    """What an earlier load wrote."""
    before = quoted("written by an earlier load")
    found: list[Case] = [(f"w._known IS NOT NULL AND w._known_as = {quoted(crossing.kind_name)}", "keep", before)]
    if crossing.kind.stands_in:
        found.append(("w._known IS NOT NULL", "stand_in", before))
    return [*found, ("w._known IS NOT NULL", "keep", before)]


def _left_out(crossing: Crossing) -> list[Case]:
    """What is not selected."""
    # Who has a seat already costs nothing, and belongs to groups.
    seated = " AND w._there IS NULL AND w._among IS NULL" if crossing.write and crossing.write.match_only else ""
    last = "" if crossing.kind.stands_in else f" AND w._unselected <> {quoted(OTHER)}"
    return [(f"w._unselected IS NOT NULL{seated}{last}", "skip", "w._unselected")]


def _owner_left(crossing: Crossing) -> list[Case]:
    """What lives in a record that does not arrive."""
    kind = crossing.kind
    if not kind.owner or crossing.stands_alone:
        return []
    of = _words(kind.fields[kind.owner].to[0])
    why = f"{quoted(f'its {of} is not written: ')} || COALESCE(w._owner_reason, '')"
    found: list[Case] = [(f"w.{name(kind.owner)} IS NULL", "skip", quoted(f"it is of no {of} by itself"))]
    if crossing.kinds.kinds[kind.owner_kind].stands_in:
        standing = f"SELECT id FROM plan.decided WHERE kind = {quoted(kind.owner_kind)} AND as_kind <> kind"
        seatless = quoted(f"its {of} has no seat at {crossing.manifest.title}")
        found.append((f"w.{name(kind.owner)} IN ({standing})", "manual", seatless))
    return [
        *found,
        ("w._owner_id IS NULL", "skip", quoted(f"its {of} is not among the records")),
        (f"w._owner_action NOT IN {ARRIVES}", "skip", why),
    ]


def _not_taken(crossing: Crossing, write: Write) -> list[Case]:
    """What has values that the destination takes nowhere, or not on such an owner."""
    kind, title, found = crossing.kind, crossing.manifest.title, []
    for label, values in write.takes.items():
        said = f"CAST(w.{name(label)} AS VARCHAR)"
        takes = quoted(f"{title} takes no {_words(crossing.kind_name)} with the {label} ")
        why = quoted(write.manual) if write.manual else f"{takes} || COALESCE({said}, '(none)')"
        fits = f"regexp_full_match({said}, {quoted('|'.join(values))})"
        found.append((f"NOT COALESCE({fits}, FALSE)", "manual", why))
    if write.owner_with and kind.owner:
        owner = kind.fields[kind.owner].to[0]
        fits = " AND ".join(
            f"o.{name(label)} IN ({', '.join(quoted(value) for value in values)})"
            for label, values in write.owner_with.items()
        )
        there = f"EXISTS (SELECT 1 FROM canonical.{name(owner)} o WHERE o.id = w.{name(kind.owner)} AND {fits})"
        only = "; ".join(f"{label} {' or '.join(values)}" for label, values in write.owner_with.items())
        found.append((f"NOT {there}", "manual", quoted(f"{title} takes it only on a {owner} with {only}")))
    return found


def _alike(crossing: Crossing, write: Write) -> list[Case]:
    """What is the same as another record, here or at the destination."""
    kind, title = crossing.kind, crossing.manifest.title
    found: list[Case] = []
    if kind.match:
        if own := ", ".join(quoted(one.id) for one in crossing.manifest.setup if one.kind == crossing.kind_name):
            earlier = quoted("migrator's own, of an earlier move: this one keeps its own there")
            found.append((f"w._first IN ({own}) AND NOT w._own", "skip", earlier))
        adds = write.create and crossing.without_seat == "create"  # else the first of two alike does not arrive either
        seated = " AND (w._there IS NOT NULL OR w._among IS NOT NULL)" if write.match_only and not adds else ""
        found.append((f"w._first IS NOT NULL AND NOT w._own{seated}", "merge", "'the same as record ' || w._first"))
        who = quoted(f"{title} has it already, as ")
        found.append(("w._there IS NULL AND w._among IS NOT NULL", "keep", f"{who} || w._among_as"))
    if kind.same and crossing.found:
        differ = " OR ".join(f"f.{name(label)} IS DISTINCT FROM w.{name(label)}" for label in kind.same)
        there = f"{crossing.found}.{name(crossing.kind_name)}"
        other = f"SELECT f.id FROM {there} f, varied w WHERE f.id = w._there AND ({differ})"
        found.append((f"w._there IN ({other})", "manual", quoted(f"{title} has another one there already")))
    if kind.match and not crossing.linked:
        match = " and ".join(kind.match).replace("_", " ")
        found.append(("w._there IS NOT NULL", "keep", quoted(f"{title} has it already (same {match})")))
    return found


def _without_seat(crossing: Crossing, write: Write) -> list[Case]:
    """The end of whoever the destination has no match for, and does not get by this migration."""
    stands_in, title = crossing.kind.stands_in, crossing.manifest.title
    if stands_in and crossing.without_seat == "stand_in":
        unselected = f"{_unselected(crossing.kind_name)} AND as_kind = {quoted(stands_in)}"
        nobody = quoted(f"not selected: nothing needs a {stands_in} in place of a seat at {title}")
        return [
            (f"w.id IN ({unselected})", "skip", nobody),
            ("TRUE", "stand_in", quoted(f"no seat at {title}: stands in as a {stands_in}")),
        ]
    lacks = f"needs a seat at {title}" if stands_in else f"{title} has none like it, and nothing here adds one"
    return [("TRUE", "manual", quoted(write.manual or lacks))]


def _by_owner(crossing: Crossing, write: Write) -> list[Case]:
    """What the owner's list has already, what lacks something, and what no longer gets into the owner's call."""
    kind, title, inside, pair = crossing.kind, crossing.manifest.title, crossing.inside, crossing.pair()
    found: list[Case] = []
    if crossing.linked:
        found.append((f"{pair} IS NOT NULL", "keep", quoted(f"{title} has it already")))
    if inside and kind.owner:
        there = f"{inside} AND w._owner_action IN ('keep', 'update') AND {pair} IS NOT NULL"
        found.append((there, "keep", quoted(f"{title} has it already")))
    found += _missing(crossing, write)  # first: it holds whether or not the owner was there
    if inside and kind.owner:
        by_hand = quoted(f"its {kind.owner_kind} was there already; add it by hand")
        found.append((f"{inside} AND w._owner_action IN ('keep', 'update', 'merge')", "manual", by_hand))
    no_such = quoted(f"{title} takes no such {_words(crossing.kind_name)}")
    return [*found, ("w._variant IS NULL", "manual", no_such)]


def _missing(crossing: Crossing, write: Write) -> list[Case]:
    """What a record cannot be written without."""
    kind, found = crossing.kind, []
    for label, variants in crossing.bound().items():
        if crossing.kind_name not in kind.fields[label].to:  # else kin looks
            some = f"w._variant IN ({', '.join(quoted(one) for one in variants)})"
            gone = f"{some} AND w.{name(label)} IS NULL AND w.{name('_was ' + label)} IS NOT NULL"
            found.append((gone, "manual", quoted(f"its {label} is not written")))
    for label, spec in kind.fields.items():
        keep, value = write.fields.get(label), f"w.{name(label)}"
        if not spec.required or label == kind.owner or (keep and keep.default is not None):
            continue
        if keep and keep.matches:
            unfit = f"{value} IS NOT NULL AND {limited(value, keep)} IS NULL"
            found.append((unfit, "manual", quoted(keep.because or f"its {label} is none the destination takes")))
        why = quoted(f"no {label}, which it needs")
        if spec.to:
            was = f"w.{name('_was ' + label)}"
            left = " OR ".join(f"{was} IN ({_unselected(to)})" for to in spec.to)
            found.append((f"{value} IS NULL AND ({left})", "skip", quoted(f"its {label} is not selected")))
            why = f"CASE WHEN {was} IS NULL THEN {why} ELSE {quoted(f'its {label} is not written')} END"
        found.append((f"{value} IS NULL", "manual", why))
    return [*found, *_without_bytes(crossing)]


def _without_bytes(crossing: Crossing) -> list[Case]:
    fields = crossing.kind.fields
    blob = next((label for label, spec in fields.items() if spec.type == "blob"), None)
    if not blob:
        return []
    why = "'its bytes were not fetched'"
    if "raw" in crossing.stage.tables_of("blobs"):
        answer = "(SELECT max(problem) FROM blobs.raw b WHERE b.id = w.id)"
        why = f"'its bytes could not be read' || COALESCE(': ' || {answer}, '')"
    some = " AND w.url IS NOT NULL" if fields[blob].versioned else ""  # not every such record has bytes
    return [(f"w.{name(blob)} IS NULL{some}", "manual", why)]


def _ended(crossing: Crossing) -> list[Case]:
    """What names a record that another of this kind puts an end to: of several that do, the first by id counts."""
    kind, kind_name = crossing.kind, crossing.kind_name
    found: list[Case] = []
    for variant, write in crossing.choices:
        if not write.ends:
            continue
        tests = [f"CAST(e.{name(label)} AS VARCHAR) = {quoted(word(v))}" for label, v in variant.constants().items()]
        ended = kind.fields[write.ends].to
        named = ", ".join(f"w.{name(label)}" for label, spec in kind.references() if set(spec.to) & set(ended))
        tests += [f"e.{name(write.ends)} IN ({named})", "e.id <> w.id"]
        tests.append(f"(e.id < w.id OR w._variant IS DISTINCT FROM {quoted(variant.name)})")
        there = f"EXISTS (SELECT 1 FROM canonical.{name(kind_name)} e WHERE {' AND '.join(tests)})"
        what = " ".join(str(value) for value in variant.constants().values()).replace("_", " ")
        why = f"it names a {ended[0]} that is {what} another: {crossing.manifest.title} lets it have nothing else"
        found.append((there, "manual", quoted(why)))
    return found
