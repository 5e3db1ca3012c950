"""The loss ledger: where a prediction differs from its source record, counted by field, named and explained."""

from __future__ import annotations

from dataclasses import dataclass

from migrator.compile import name, quoted
from migrator.kinds import Field, Kind, Kinds
from migrator.manifest import Keep, Manifest
from migrator.mapping import Mapping
from migrator.stage import Stage

HOWS = ("dropped", "truncated", "merged", "reset", "unresolved", "untranslated")


@dataclass(frozen=True)
class Loss:
    """One field of a kind that does not arrive as it was, in ``count`` of ``of`` written records."""

    kind: str
    field: str
    how: str
    because: str
    count: int
    of: int
    examples: list[tuple[str, str, str, str | None]]  # (id, label, was, becomes)


def differs(spec: Field, was: str, becomes: str) -> str:
    """Return the SQL test that two values of a field say something different."""
    if spec.type == "html":
        return f"({was} IS DISTINCT FROM {becomes} AND html_form({was}) IS DISTINCT FROM html_form({becomes}))"
    return f"({was} IS DISTINCT FROM {becomes})"


def _says(spec: Field, was: str) -> str:
    return f"COALESCE({was}, FALSE)" if spec.type == "boolean" else f"{was} IS NOT NULL"


def _own(kinds: Kinds, manifest: Manifest, spec: Field, was: str) -> str:
    """Return the SQL test that a reference names what every account has by itself, and so says nothing.

    That is the default brand, say, where the destination writes no brands; or anything at all, where the source lists
    no record of the kind: it has only the one.
    """
    own = [
        to for to in spec.to if any(f.skip and (f.skip.unless_written or f.skip.unless_there) for f in _of(kinds, to))
    ]
    if not own or len(own) < len(spec.to):
        return "FALSE"
    tests = [f"NOT EXISTS (SELECT 1 FROM canonical.{name(to)})" for to in own]
    for to in own if spec.type == "ref" else ():
        write = manifest.write(to)
        flags = [label for label, f in kinds.kinds[to].fields.items() if f.skip and f.skip.unless_written]
        if flags and not (write and write.makes):
            when = " OR ".join(f"COALESCE({name(label)}, FALSE)" for label in flags)
            tests.append(f"{was} IN (SELECT id FROM canonical.{name(to)} WHERE {when})")
    return f"({' OR '.join(tests)})"


def _of(kinds: Kinds, kind_name: str) -> list[Field]:
    return list(kinds.kinds[kind_name].fields.values())


def _how(spec: Field, keep: Keep | None, translated: bool, was: str, becomes: str, own: str = "FALSE") -> str:
    """Return the SQL that names the loss, NULL where there is none. ``own``: the test that nothing is said."""
    if keep and keep.loss:
        named = quoted(keep.loss)
    elif keep is None or (keep.write == "never" and not keep.follows):
        named = "'dropped'"
    else:
        gone = "'unresolved'" if spec.to else "'untranslated'" if translated else "'dropped'"
        cut = (
            f"WHEN starts_with({was}, {becomes}) THEN 'truncated' "
            if spec.type in ("text", "html") and not translated
            else ""
        )
        changed = "'merged'" if translated else "'reset'" if spec.type != "list" else "'dropped'"
        named = f"CASE WHEN {becomes} IS NULL THEN {gone} {cut}ELSE {changed} END"
    says = _says(spec, was) if own == "FALSE" else f"{_says(spec, was)} AND NOT {own}"
    return f"CASE WHEN {says} AND {differs(spec, was, becomes)} THEN {named} END"


def measure_losses(
    stage: Stage, kinds: Kinds, manifest: Manifest, mapping: Mapping, found: str | None = None
) -> list[Loss]:
    """Return every loss of the plan in the stage, largest first within its kind.

    ``found``: the schema of what is at the destination already (or none).
    """
    losses: list[Loss] = []
    filled, there_filled = stage.filled("predicted"), stage.filled(found) if found else set()
    joins = "SELECT DISTINCT kind, as_kind FROM plan.planned WHERE action IN ('keep', 'merge') AND NOT known"
    joining = set(stage.rows(joins))
    for kind_name in kinds.in_order():
        kind = kinds.kinds[kind_name]
        of_kind = f"SELECT DISTINCT variant FROM predicted.{name(kind_name)} ORDER BY 1"
        for (variant,) in stage.rows(of_kind) if kind_name in filled else ():
            losses += _of_variant(stage, kind_name, kind, variant, manifest, mapping, kinds)
        write = manifest.write(kind_name)
        joined = [kind_name, kind.stands_in, *(write.match_among if write else ())]
        for there in dict.fromkeys(one for one in joined if one and (kind_name, one) in joining):
            losses += _kept(stage, kind_name, kind, there, kinds.kinds[there])
        losses += _given(stage, kind_name, kinds, found) if found and kind_name in there_filled else []
    return _joined(losses)


def _of_variant(
    stage: Stage, kind_name: str, kind: Kind, variant: str, manifest: Manifest, mapping: Mapping, kinds: Kinds
) -> list[Loss]:
    write = manifest.write(kind_name, variant)
    verbs = next((v.fields for v in mapping.kinds.get(kind_name, ()) if v.name == variant), {})
    source = [kind_name, *(other for other, spec in kinds.kinds.items() if spec.stands_in == kind_name)]
    found: list[Loss] = []
    for origin in source:
        origin_kind = kinds.kinds[origin]
        pairs = (
            f"canonical.{name(origin)} c JOIN plan.planned p ON p.id = c.id AND p.kind = {quoted(origin)} "
            "AND (p.action = 'create' OR p.known) "
            f"JOIN predicted.{name(kind_name)} r ON r.id = c.id AND r._kind = {quoted(origin)} "
            f"AND r.variant = {quoted(variant)}"
        )
        of = int(stage.one(f"SELECT count(*) FROM {pairs}"))
        if not of:
            continue
        tests, specs, title = {}, {}, name(origin_kind.label or "id")
        for label, spec in origin_kind.fields.items():
            if spec.private or label == origin_kind.owner:
                continue
            keep = write.fields.get(label) if write else None
            becomes = f"r.{name(label)}" if label in kind.fields else "NULL"
            if spec.type == "rule":
                found += _translated(stage, origin, label, pairs, of, title)
            if spec.type == "map":
                found += _custom(stage, origin, label, pairs, of, kind.fields[label].keyed_by or "", origin_kind)
                continue
            verb = verbs.get(label)
            specs[label] = (spec, keep, becomes)
            was = f"c.{name(label)}"
            own = _own(kinds, manifest, spec, was)
            tests[label] = (
                _of_rule(label)
                if spec.type == "rule"
                else _how(spec, keep, bool(verb and verb.values), was, becomes, own)
            )
        if not tests:
            continue
        hows = ", ".join(f"histogram({test}) AS {name(label)}" for label, test in tests.items())
        for label, counted in zip(specs, stage.rows(f"SELECT {hows} FROM {pairs}")[0], strict=True):
            spec, keep, becomes = specs[label]
            for how, count in (counted or {}).items():
                test = tests[label]
                examples = stage.rows(
                    f"SELECT c.id, {f'c.{title}' if origin_kind.label else quoted('')}, "
                    f"left(CAST(c.{name(label)} AS VARCHAR), 300), "
                    f"left(CAST({becomes} AS VARCHAR), 300) FROM {pairs} WHERE {test} = {quoted(how)} "
                    "ORDER BY length(c.id), c.id LIMIT 3"
                )
                because = (keep.because if keep else "") or _because(manifest.title, spec, keep, how)
                shown = [(str(i), str(t or ""), str(w), None if b is None else str(b)) for i, t, w, b in examples]
                found.append(Loss(origin, label, how, because, int(count), of, shown))
    return found


def _of_rule(label: str) -> str:
    """Return the SQL that names the loss of a rule in one and the same dialect, which is to come back word by word."""
    was, becomes = f"c.{name(label)}", f"r.{name(label)}"
    alike = f"json_extract_string({was}, '$.vendor') = json_extract_string({becomes}, '$.vendor')"
    known = "json_merge_patch(CAST({} AS JSON), CAST('{{\"unknown\": []}}' AS JSON))"  # what is not is named by itself
    return f"CASE WHEN {alike} AND {known.format(was)} <> {known.format(becomes)} THEN 'reset' END"


def _translated(stage: Stage, kind_name: str, label: str, pairs: str, of: int, title: str) -> list[Loss]:
    """Return what a rule loses on its way into another dialect, node by node."""
    rows = stage.rows(
        "SELECT CASE WHEN o.verdict = 'approximated' THEN 'merged' ELSE 'untranslated' END AS how, "
        "regexp_replace(o.place, ' [0-9]+$', '') AS place, o.note, count(DISTINCT c.id), "
        f"list({{'id': c.id, 'label': CAST(c.{title} AS VARCHAR), 'what': left(o.what, 300)}} "
        f"ORDER BY length(c.id), c.id)[1:3] FROM {pairs} JOIN plan.finding o ON o.kind = {quoted(kind_name)} "
        "AND o.id = c.id WHERE o.verdict NOT IN ('exact', 'equivalent') GROUP BY ALL ORDER BY 4 DESC, 1, 2, 3"
    )
    found = []
    for how, place, note, count, some in rows:
        examples: list[tuple[str, str, str, str | None]] = [
            (str(one["id"]), str(one["label"] or ""), str(one["what"]), None) for one in some
        ]
        found.append(Loss(kind_name, f"{label}: {place}", how, note or "differs", int(count), of, examples))
    return found


def _because(title: str, spec: Field, keep: Keep | None, how: str) -> str:
    if keep is None:
        return f"{title} has no place for it"
    if how == "truncated":
        return f"{title} takes at most {keep.max} characters"
    return {
        "unresolved": "the record it names is not written",
        "untranslated": f"{title} has no such value; map it in the overlay",
        "merged": f"{title} has no value of its own for it; map it in the overlay",
        "dropped": f"{title} does not take this value",
    }.get(how, f"{title} stores it differently")


def _custom(stage: Stage, kind_name: str, label: str, pairs: str, of: int, fields: str, kind: Kind) -> list[Loss]:
    """Compare custom values one field at a time."""

    def exploded(side: str) -> str:
        return (
            "SELECT id, e.key AS k, CAST(e.value AS VARCHAR) AS v FROM (SELECT c.id, "
            f"unnest(map_entries(CAST(CAST({side}.{name(label)} AS JSON) "
            f"AS MAP(VARCHAR, JSON)))) AS e FROM {pairs} WHERE {side}.{name(label)} IS NOT NULL)"
        )

    rows = stage.rows(
        "SELECT s.k, max(f.title), CASE WHEN f.id IS NULL THEN 'unresolved' "
        "WHEN max(q.action) NOT IN ('create', 'keep', 'merge') THEN 'unresolved' "
        "WHEN max(d.v) IS NULL THEN 'dropped' "
        "WHEN bool_and(starts_with(trim(s.v, '\"'), trim(d.v, '\"'))) THEN 'truncated' ELSE 'reset' END AS how, "
        "count(*), "
        f"list({{'id': s.id, 'was': left(s.v, 300), 'becomes': left(d.v, 300)}} ORDER BY length(s.id), s.id)[1:3] "
        f"FROM ({exploded('c')}) s LEFT JOIN ({exploded('r')}) d ON d.id = s.id AND d.k = s.k "
        f"LEFT JOIN canonical.{name(fields)} f ON f.id = s.k "
        f"LEFT JOIN plan.planned q ON q.kind = {quoted(fields)} AND q.id = s.k WHERE s.v IS DISTINCT FROM d.v "
        "GROUP BY s.k, f.id, (d.v IS NULL) ORDER BY count(*) DESC"
    )
    because = {
        "unresolved": "the custom field itself is not written",
        "dropped": "not a value the field takes at the destination",
        "truncated": "longer than the field takes at the destination",
        "reset": "the field is of another type at the destination",
    }
    found = []
    for key, title, how, count, some in rows:
        examples = [(str(one["id"]), "", str(one["was"]), one["becomes"]) for one in some]
        found.append(Loss(kind_name, f"{label}: {title or key}", how, because[how], int(count), of, examples))
    return found


def _kept(stage: Stage, kind_name: str, kind: Kind, there_name: str, there: Kind) -> list[Loss]:
    """A kept or merged record's own values stay where they differ; ``there``: the kind it is joined with."""
    pairs = (
        f"canonical.{name(kind_name)} c JOIN plan.planned p ON p.id = c.id AND p.kind = {quoted(kind_name)} "
        "AND p.action IN ('keep', 'merge') AND NOT p.known "
        f"JOIN predicted.{name(there_name)} r ON r.id = c.id AND r._kind = {quoted(kind_name)} "
        f"AND p.as_kind = {quoted(there_name)}"
    )
    of = int(stage.one(f"SELECT count(*) FROM {pairs}"))
    found = []
    for label, spec in kind.fields.items() if of else ():
        if spec.private or spec.to or spec.type in ("map", "timestamp"):
            continue
        becomes = f"r.{name(label)}" if label in there.fields else "NULL"
        test = f"{_says(spec, f'c.{name(label)}')} AND {differs(spec, f'c.{name(label)}', becomes)}"
        rows = stage.rows(
            f"SELECT c.id, {f'c.{name(kind.label)}' if kind.label else quoted('')}, "
            f"left(CAST(c.{name(label)} AS VARCHAR), 300), "
            f"left(CAST({becomes} AS VARCHAR), 300) FROM {pairs} WHERE {test} ORDER BY length(c.id), c.id"
        )
        if rows:
            shown = [(str(i), str(t or ""), str(w), None if b is None else str(b)) for i, t, w, b in rows[:3]]
            found.append(
                Loss(kind_name, label, "merged", "the record it is joined with keeps its own", len(rows), of, shown)
            )
    return found


def _given(stage: Stage, kind_name: str, kinds: Kinds, found: str) -> list[Loss]:
    """What was given to a record, and not to the one it is joined with, which keeps its own: an agent's roles."""
    losses, kind = [], kinds.kinds[kind_name]
    for label, spec in kind.references():
        if not spec.given:
            continue
        of = ", ".join(quoted(to) for to in spec.to)
        title = kind.label or "id"
        named = " UNION ALL ".join(
            f"SELECT id, {name(kinds.kinds[to].label or 'id')} AS said FROM canonical.{name(to)}" for to in spec.to
        )
        there = (
            "SELECT x.id, list_sort(list(d.target)) AS t, string_agg(COALESCE(n.said, x.one), ', ') AS w "
            f"FROM (SELECT id, unnest({name(label)}) AS one FROM canonical.{name(kind_name)}) x "
            f"LEFT JOIN plan.decided d ON d.id = x.one AND d.kind IN ({of}) AND d.action = 'keep' "
            f"JOIN ({named}) n ON n.id = x.one GROUP BY x.id"
        )
        rows = stage.rows(
            f"SELECT c.id, c.{name(title)}, m.w FROM canonical.{name(kind_name)} c JOIN plan.planned p ON p.id = c.id "
            f"AND p.kind = {quoted(kind_name)} AND p.as_kind = p.kind AND p.action = 'keep' AND NOT p.known "
            f"JOIN {found}.{name(kind_name)} f ON f.id = p.target JOIN ({there}) m ON m.id = c.id "
            f"WHERE m.t IS DISTINCT FROM list_sort(f.{name(label)}) ORDER BY length(c.id), c.id"
        )
        if rows:
            of_all = int(stage.one("SELECT count(*) FROM plan.planned WHERE kind = ? AND action = 'keep'", kind_name))
            because = f"who is there already keeps what he has; give him these {label} by hand"
            shown: list[tuple[str, str, str, str | None]] = [(i, str(t or ""), w, None) for i, t, w in rows[:3]]
            losses.append(Loss(kind_name, label, "merged", because, len(rows), of_all, shown))
    return losses


def _joined(losses: list[Loss]) -> list[Loss]:
    """Add up the variants of a kind that lose the same for the same reason."""
    sums: dict[tuple[str, str, str, str], Loss] = {}
    for loss in losses:
        key = (loss.kind, loss.field, loss.how, loss.because)
        was = sums.get(key)
        sums[key] = (
            loss
            if was is None
            else Loss(*key, was.count + loss.count, was.of + loss.of, (was.examples + loss.examples)[:3])
        )
    return sorted(sums.values(), key=lambda loss: (loss.kind, -loss.count, loss.field))
