"""A kind's records before they are judged: which there are, what each is the same as, and which references arrive.

Four relations, each made from the one before: ``gathered``, ``named``, ``single``, ``joined``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from migrator.compile import flagged, match_key, name, quoted
from migrator.crossing import ARRIVES, Crossing
from migrator.kinds import Field
from migrator.reasons import skipped


def relations(crossing: Crossing, unmade: Mapping[str, str]) -> list[str]:
    """Return the four as clauses of a WITH. ``unmade``: records of our own that are left to a person, and why."""
    unselected = f"u.kind = g._kind AND u.id = g.id AND u.as_kind = {quoted(crossing.kind_name)}"
    return [
        f"gathered AS (SELECT g.*, u.reason AS _unselected FROM ({_gathered(crossing, unmade)}) g "
        f"LEFT JOIN plan.unselected u ON {unselected})",
        f"named AS ({_named(crossing)})",
        f"single AS ({_single(crossing)})",
        f"joined AS ({_joined(crossing)})",
    ]


# ---- which there are ------------------------------------------------------------------------------------------------


def _gathered(crossing: Crossing, unmade: Mapping[str, str]) -> str:
    """The kind's own records, those that stand in as it, and the connector's own."""
    kind_name, kind = crossing.kind_name, crossing.kind
    columns = ["id", *kind.fields]
    if kind.rule:
        return " UNION ALL BY NAME ".join([*_translated(crossing), *_ours(crossing, unmade)])
    parts = [_selected(columns, f"canonical.{name(kind_name)}", kind_name)]
    for other_name, other in crossing.kinds.kinds.items():
        if other.stands_in == kind_name:
            shared = [column for column in columns if column == "id" or column in other.fields]
            standing = f"SELECT id FROM plan.decided WHERE kind = {quoted(other_name)} AND action = 'stand_in'"
            part = _selected(shared, f"canonical.{name(other_name)}", other_name)
            parts.append(f"{part} WHERE id IN ({standing})")
    return " UNION ALL BY NAME ".join([*parts, *_ours(crossing, unmade)])


def _selected(columns: Iterable[str], relation: str, kind_name: str) -> str:
    listed = ", ".join(name(column) for column in columns)
    return f"SELECT {listed}, {quoted(kind_name)} AS _kind, FALSE AS _own FROM {relation}"


def _ours(crossing: Crossing, unmade: Mapping[str, str]) -> list[str]:
    """The connector's own records, and those that rules need."""
    parts = []
    for own in crossing.manifest.setup:
        if own.kind == crossing.kind_name:
            values = ", ".join(f"{_literal(value)} AS {name(label)}" for label, value in own.fields.items())
            values += f", 'manual' AS _does, {quoted(unmade[own.id])} AS _why" if own.id in unmade else ""
            parts.append(f"SELECT {quoted(own.id)} AS id, {values}, {quoted(own.kind)} AS _kind, TRUE AS _own")
    return parts


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, Iterable) and not isinstance(value, str):
        return "[" + ", ".join(quoted(str(one)) for one in value) + "]"
    return quoted(str(value)) if isinstance(value, str) else str(value)


def _translated(crossing: Crossing) -> list[str]:
    """The kind's rules in the destination's words: the first part is the record, the others come along as ours."""
    kind, of_kind = crossing.kind, quoted(crossing.kind_name)
    columns = [column for column in ("id", *kind.fields) if column not in (kind.rule, "id", kind.label)]
    listed = ", ".join(f"c.{name(column)}" for column in columns)
    called = f"c.{name(kind.label or 'id')}"
    numbered = f"COALESCE(t.label, {called} || ' (' || (t.part + 1) || ')')"
    told = f"t.native AS {name(kind.rule or '')}, t.does AS _does, t.why AS _why, {of_kind} AS _kind"
    canonical = f"canonical.{name(crossing.kind_name)}"
    of = f"{canonical} c {{}} JOIN plan.translated t ON t.kind = {of_kind} AND t.id = c.id"

    def part(id: str, label: str, rows: str, *, own: bool) -> str:
        titled = f", {label} AS {name(kind.label)}" if kind.label else ""
        return f"SELECT {id} AS id, {listed}{titled}, {told}, {str(own).upper()} AS _own FROM {rows}"

    return [
        part("c.id", f"COALESCE(t.label, {called})", f"{of.format('LEFT')} AND t.part = 0", own=False),
        part("c.id || '~' || (t.part + 1)", numbered, f"{of.format('')} AND t.part > 0", own=True),
    ]


# ---- what each is the same as ---------------------------------------------------------------------------------------


def _named(crossing: Crossing) -> str:
    """``_key`` is what a record is matched by, ``_first`` the earlier record it is the same as."""
    rows = _apart(crossing)
    if not crossing.kind.match or crossing.stands_alone:
        return f"SELECT *, CAST(NULL AS VARCHAR) AS _key, CAST(NULL AS VARCHAR) AS _first FROM ({rows})"
    keyed = f"SELECT *, {match_key(crossing.kind, 'w')} AS _key, {_fit(crossing)} AS _fit FROM ({rows}) w"
    among = "OVER (PARTITION BY _key ORDER BY _own DESC, _fit DESC, length(id), id)"
    return (
        f"SELECT * EXCLUDE (_fit), CASE WHEN _key IS NOT NULL AND first_value(_fit) {among} "
        f"THEN NULLIF(first_value(id) {among}, id) END AS _first FROM ({keyed})"
    )


def _apart(crossing: Crossing) -> str:
    """Another name where the destination's own built-in record has it: ours would be refused, or mixed up with it."""
    kind, there = crossing.kind, f"{crossing.found}.{name(crossing.kind_name)} f"
    # Built in, not merely deleted there: an address keeps its spelling.
    built_in = any(
        spec.skip and not (spec.skip.unless_referenced or spec.skip.unless_written or spec.skip.unless_there)
        for spec in kind.fields.values()
    )
    rows = "SELECT * FROM gathered w"
    if crossing.found and kind.match and built_in:
        key = match_key(kind, "f")
        taken = f"SELECT {key} FROM {there} WHERE {flagged(kind, 'f')} AND {key} IS NOT NULL"
        clash = f"NOT {flagged(kind, 'w')} AND {match_key(kind, 'w')} IN ({taken})"
        rows = _renamed(crossing, kind.match[-1], clash)
    if crossing.found and kind.apart:
        same = f"lower(trim({{}}.{name(kind.apart)}))"
        taken = f"SELECT {same.format('f')} FROM {there} WHERE f.id NOT IN ({_ours_there(crossing)})"
        rows = _renamed(crossing, kind.apart, f"{same.format('w')} IN ({taken})")
    return rows


def _renamed(crossing: Crossing, label: str, clash: str) -> str:
    column, ending = name(label), quoted(f" ({crossing.source})")
    return (
        f"SELECT * REPLACE (CASE WHEN {clash} THEN {column} || {ending} ELSE {column} END AS {column}) FROM gathered w"
    )


def _ours_there(crossing: Crossing) -> str:
    return f"SELECT target FROM plan.known WHERE as_kind = {quoted(crossing.kind_name)}"


def _fit(crossing: Crossing) -> str:
    """Whether a record arrives by itself, so that an equal one may be merged into it."""
    write = crossing.write
    tests = [f"NOT COALESCE({test}, FALSE)" for test, _, _ in skipped(crossing, there=False)]
    for label, spec in crossing.kind.fields.items():
        keep = write.fields.get(label) if write else None
        if spec.required and not spec.to and not (keep and keep.default is not None):
            tests.append(f"w.{name(label)} IS NOT NULL")
    return " AND ".join(tests) or "TRUE"


def _single(crossing: Crossing) -> str:
    """Values that may be had once only, left to the record that has them first."""
    replaced, joins = [], []
    for label, keep in (crossing.write.fields if crossing.write else {}).items():
        if not keep.unique:
            continue
        column, alias = name(label), name(f"u {label}")
        if crossing.kind.fields[label].type == "list":
            there = "SELECT '' WHERE FALSE"
            if crossing.found:
                relation, ours = f"{crossing.found}.{name(crossing.kind_name)}", _ours_there(crossing)
                there = f"SELECT lower(unnest({column})) FROM {relation} WHERE id NOT IN ({ours})"
            exploded = f"SELECT id, _kind, unnest({column}) AS one FROM named"
            place = "row_number() OVER (PARTITION BY lower(one) ORDER BY length(id), id)"
            ranked = f"SELECT *, {place} AS n FROM ({exploded}) WHERE lower(one) NOT IN ({there})"
            joins.append(_list_of(alias, "one", f"({ranked}) WHERE n = 1"))
            replaced.append(f"{alias}.some AS {column}")
        else:
            first = f"row_number() OVER (PARTITION BY lower(trim({column})) ORDER BY length(w.id), w.id)"
            replaced.append(f"CASE WHEN {column} IS NOT NULL AND {first} = 1 THEN {column} END AS {column}")
    if not replaced:
        return "SELECT * FROM named w"
    return f"SELECT w.* REPLACE ({', '.join(replaced)}) FROM named w {' '.join(joins)}"


def _list_of(alias: str, by: str, rows: str) -> str:
    """The join of each record with the list ``some`` of what ``rows`` (id, _kind, one) say of it."""
    return (
        f"LEFT JOIN (SELECT id, _kind, list(one ORDER BY {by}) AS some FROM {rows} GROUP BY ALL) {alias} "
        f"ON {alias}.id = w.id AND {alias}._kind = w._kind"
    )


# ---- what it meets --------------------------------------------------------------------------------------------------


def _joined(crossing: Crossing) -> str:
    """References that arrive (``_was x``: what the source says), the owner's fate, and what is there already."""
    columns = ["k.target AS _known", "k.as_kind AS _known_as", "k.variant AS _known_variant"]
    joins = ["LEFT JOIN plan.known k ON k.id = w.id AND k.kind = w._kind"]
    replaced, needed = [], crossing.needed()
    for label, spec in crossing.kind.references():
        if label in needed:
            alias = name(f"a {label}")
            columns.append(f"w.{name(label)} AS {name('_was ' + label)}")
            if crossing.kind_name in spec.to:
                continue  # it is decided in this very statement: kin looks whether it arrives
            joins.append(_arriving(label, alias, spec))
            replaced.append(f"{alias}.{'id' if spec.type == 'ref' else 'some'} AS {name(label)}")
    for more, join in (_owner(crossing), _match(crossing)):
        columns, joins = columns + more, joins + join
    first = f"w.* REPLACE ({', '.join(replaced)})" if replaced else "w.*"
    return f"SELECT {', '.join([first, *columns])} FROM single w {' '.join(joins)}"


def _arriving(label: str, alias: str, spec: Field) -> str:
    """The join with what arrives of what a reference names."""
    column, of = name(label), ", ".join(quoted(to) for to in spec.to)
    arrivals = f"SELECT DISTINCT id FROM plan.decided WHERE as_kind IN ({of}) AND action IN {ARRIVES}"
    for other, value in spec.among.items():
        fit = f"SELECT id FROM canonical.{name(spec.to[0])} WHERE {name(other)} = {quoted(value)}"
        arrivals += f" AND id IN ({fit})"
    if spec.type == "ref":
        return f"LEFT JOIN ({arrivals}) {alias} ON {alias}.id = w.{column}"
    each = f"unnest({column}) AS one, generate_subscripts({column}, 1) AS n"
    some = f"SELECT id, _kind, {each} FROM single WHERE len({column}) > 0"
    return _list_of(alias, "n", f"({some}) WHERE one IN ({arrivals})")


def _owner(crossing: Crossing) -> tuple[list[str], list[str]]:
    """Columns and joins: what happens to the owner."""
    kind = crossing.kind
    if not kind.owner:
        return [], []
    of = quoted(kind.fields[kind.owner].to[0])
    join = f"LEFT JOIN plan.decided o ON o.id = w.{name(kind.owner)} AND o.as_kind = {of} AND o.action <> 'stand_in'"
    return [f"o.{column} AS _owner_{column}" for column in ("id", "action", "reason", "variant", "unit", "lane")], [
        join
    ]


def _match(crossing: Crossing) -> tuple[list[str], list[str]]:
    """Columns and joins: what the destination has that is the same, as this kind or as one this kind is kept among."""
    kind, write, joins = crossing.kind, crossing.write, []
    by_text = bool(crossing.found and kind.match and not crossing.linked)
    by_role = bool(by_text and kind.role)
    there = "COALESCE(role.id, there.id)" if by_role else "there.id"
    columns = [f"{there} AS _there" if by_text else "CAST(NULL AS VARCHAR) AS _there"]
    if by_text:
        joins.append(f"LEFT JOIN ({crossing.there(crossing.kind_name)}) there ON there.k = w._key")
    if by_role:
        same = f"role.k = {match_key(kind, 'w', role=True)}"
        joins.append(f"LEFT JOIN ({crossing.there(crossing.kind_name, role=True)}) role ON {same}")
    among = write.match_among if write and crossing.found and kind.match else ()
    if among:
        others = " UNION ALL ".join(crossing.there(other) for other in among)
        least = f"SELECT k, min(id) AS id, min(of) AS of FROM ({others}) GROUP BY k"
        joins.append(f"LEFT JOIN ({least}) among ON among.k = w._key")
    columns += ["among.id AS _among", "among.of AS _among_as"] if among else ["NULL AS _among", "NULL AS _among_as"]
    return columns, joins
