"""Custom fields made narrower where the staged records prove that no value is lost: a text that holds numbers only.

Works on the canonical records before they are planned, so that plan, prediction and digest are of what will be written.
Types are widened without being asked; a person asks for each that is to be narrower (decision 0058).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from migrator.compile import json_step, name, quoted
from migrator.documents import Document, did_you_mean
from migrator.errors import InputError
from migrator.kinds import Kinds
from migrator.mapping import Mapping
from migrator.stage import Stage

HELD = "narrow.field"
TEXTS = ("text", "textarea", "regexp")
MAY: dict[str, tuple[str, ...]] = {  # what a field becomes, to what it may have been
    "integer": (*TEXTS, "decimal"),
    "decimal": TEXTS,
    "date": TEXTS,
    "dropdown": ("multiselect",),
}
SAID = "json_extract_string(v, '$')"
IS_TEXT = "json_type(v) = 'VARCHAR'"
WHOLE = "(0|-?[1-9][0-9]{0,17})"
BROKEN = f"CAST(TRY_CAST({SAID} AS DOUBLE) AS VARCHAR)"
# For each type: which values lose nothing in it, by what they are written as, and what they are then.
FITS = {
    "integer": f"{IS_TEXT} AND regexp_full_match({SAID}, '{WHOLE}')",
    "decimal": f"{IS_TEXT} AND regexp_full_match({SAID}, '-?(0|[1-9][0-9]{{0,14}})([.][0-9]+)?') AND {SAID} <> '-0' "
    f"AND {BROKEN} IN ({SAID}, {SAID} || '.0')",
    "date": f"{IS_TEXT} AND regexp_full_match({SAID}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}') "
    f"AND TRY_CAST({SAID} AS DATE) IS NOT NULL",
    "dropdown": "json_type(v) = 'ARRAY' AND json_array_length(v) = 1",
}
BECOMES = {
    "integer": f"to_json(regexp_replace({SAID}, '[.]0$', ''))",
    "decimal": f"to_json({BROKEN})",
    "date": "v",
    "dropdown": "json_extract(v, '$[0]')",
}


class Narrow(Document):
    """A custom field that is to be narrower, by its title. ``of``: whose field it is."""

    field: str
    type: Literal["integer", "decimal", "date", "dropdown"]
    of: Literal["ticket", "contact", "organization"] = "ticket"


@dataclass(frozen=True)
class Narrowed:
    """What became of a wish: ``values`` were looked at, ``unfit`` of them do not fit (``examples``: record and value).

    ``why`` the field stays as it is; empty where it is narrower.
    """

    id: str
    title: str
    of: str
    was: str
    becomes: str
    values: int
    unfit: int
    examples: tuple[tuple[str, str], ...]
    why: str

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def narrow(
    stage: Stage, kinds: Kinds, mapping: Mapping, wishes: Sequence[Narrow], known: Collection[str], *, whole: bool
) -> list[Narrowed]:
    """Make fields and values of ``canonical`` narrower where that is proven, and return what became of each wish.

    ``known``: custom fields that are at the destination already, whose types stand: what does not fit into one that was
    narrowed earlier is left as it is, and is a loss. ``whole``: all records are there, so that there can be a proof;
    without it a field is what the last whole plan made of it. Raises InputError for a wish that cannot be.
    """
    stage.schema("narrow")
    stage.run(f"CREATE TABLE IF NOT EXISTS {HELD} (id VARCHAR, type VARCHAR)")
    earlier = set(stage.rows(f"SELECT id, type FROM {HELD}"))
    found = []
    for wish in wishes:
        id, was, key = _field(stage, wish)
        fits = _fit(stage, wish, id, was)
        values, unfit, examples = _measured(stage, kinds, mapping, wish, id, fits)
        why = ""
        if id in known or not whole or at_destination(stage, wish.of, wish.field):
            why = "" if (id, wish.type) in earlier else "it is at the destination already, or not all records are here"
        elif named_by_rules(stage, kinds, f"{wish.of}:{key}"):
            why = "rules name it, and ask for it as what it was"
        elif not values:
            why = "no record has a value in it that would prove anything"
        elif unfit:
            why = f"{unfit} of {values} values would not fit"
        one = Narrowed(id, wish.field, wish.of, was, wish.type, values, unfit, examples, why)
        if not why:
            _apply(stage, kinds, mapping, wish, id, fits)
        found.append(one)
    stage.run(f"DELETE FROM {HELD}")
    stage.insert(HELD, [[one.id, one.becomes] for one in found if not one.why])
    return found


def _field(stage: Stage, wish: Narrow) -> tuple[str, str, str]:
    """Return id, type and key of the field a wish names."""
    rows = stage.rows(
        "SELECT id, type, key, title FROM canonical.custom_field WHERE applies_to = ? AND NOT COALESCE(system, FALSE) "
        "ORDER BY id",
        wish.of,
    )
    these = [row for row in rows if row[3] == wish.field]
    if len(these) != 1:
        what = "two fields have" if these else "no custom field has"
        guess = "" if these else did_you_mean(wish.field, [str(row[3]) for row in rows])
        raise InputError(f"narrow: {what} the title '{wish.field}' among those of {wish.of}s{guess}")
    id, was, key, _ = these[0]
    if was not in MAY[wish.type]:
        raise InputError(
            f"narrow: '{wish.field}' is of the type {was}, and cannot be made a {wish.type} "
            f"(only {', '.join(MAY[wish.type])} can)"
        )
    return str(id), str(was), str(key)


def _maps(kinds: Kinds, mapping: Mapping, of: str) -> Iterator[tuple[str, str]]:
    """Yield the kinds, and their fields, that hold values of such custom fields."""
    for kind_name, kind in kinds.kinds.items():
        for label, spec in kind.fields.items():
            verbs = [variant.fields.get(label) for variant in mapping.read(kind_name)]
            if spec.type == "map" and any(verb and verb.keyed and verb.keyed.applies_to == of for verb in verbs):
                yield kind_name, label


def _fit(stage: Stage, wish: Narrow, id: str, was: str) -> str:
    """Return the test that a value ``v`` fits; a choice must be one of the field's options."""
    options = stage.one("SELECT options FROM canonical.custom_field WHERE id = ?", id) or []
    listed = ", ".join(quoted(str(one)) for one in options)
    test = FITS[wish.type]
    if wish.type == "dropdown":
        test += f" AND json_extract_string(v, '$[0]') IN ({listed})" if listed else " AND FALSE"
    if was == "decimal":  # as we tell a whole one
        test = f"{IS_TEXT} AND regexp_full_match({SAID}, '{WHOLE}[.]0')"
    return f"COALESCE({test}, FALSE)"


def at_destination(stage: Stage, of: str, title: str) -> bool:
    """Tell whether the destination has such a field already, which the one of the source is joined with."""
    if "custom_field" not in stage.tables_of("found"):
        return False
    same = "SELECT count(*) FROM found.custom_field WHERE applies_to = ? AND lower(trim(title)) = lower(trim(?))"
    return bool(stage.one(same, of, title))


def _measured(
    stage: Stage, kinds: Kinds, mapping: Mapping, wish: Narrow, id: str, fits: str
) -> tuple[int, int, tuple[tuple[str, str], ...]]:
    """Return how many values the field has, how many of them do not fit, and some of those with their records."""
    path = quoted("$" + json_step(id))
    values = " UNION ALL ".join(
        f"SELECT id, json_extract(CAST({name(label)} AS JSON), {path}) AS v FROM canonical.{name(kind_name)}"
        for kind_name, label in _maps(kinds, mapping, wish.of)
    )
    if not values:
        return 0, 0, ()
    (row,) = stage.rows(
        f"SELECT count(*), count(*) FILTER (NOT {fits}), "
        f"list({{'id': id, 'v': left(CAST(v AS VARCHAR), 100)}} ORDER BY length(id), id) FILTER (NOT {fits}) "
        f"FROM ({values}) WHERE v IS NOT NULL AND json_type(v) <> 'NULL'"
    )
    return int(row[0]), int(row[1]), tuple((str(one["id"]), str(one["v"])) for one in (row[2] or [])[:3])


def named_by_rules(stage: Stage, kinds: Kinds, key: str) -> bool:
    """Tell whether a rule names the field."""
    mark = f"⟪custom_field:{key}⟫"
    return any(
        stage.one(f"SELECT count(*) FROM canonical.{name(kind_name)} WHERE contains({name(kind.rule)}, ?)", mark)
        for kind_name, kind in kinds.kinds.items()
        if kind.rule and kind_name in stage.tables_of("canonical")
    )


def _apply(stage: Stage, kinds: Kinds, mapping: Mapping, wish: Narrow, id: str, fits: str) -> None:
    """Give the field its type, and its values the form they have in it."""
    stage.run("UPDATE canonical.custom_field SET type = ? WHERE id = ?", wish.type, id)
    for kind_name, label in _maps(kinds, mapping, wish.of):
        table, column = f"canonical.{name(kind_name)}", name(label)
        entries = f"unnest(map_entries(CAST(CAST({column} AS JSON) AS MAP(VARCHAR, JSON))))"
        made = f"CASE WHEN k = {quoted(id)} AND {fits} THEN {BECOMES[wish.type]} ELSE v END"
        stage.run(
            f"UPDATE {table} SET {column} = n.w FROM ("
            f"SELECT id, CAST(to_json(map_from_entries(list({{'k': k, 'v': {made}}} ORDER BY k))) AS VARCHAR) AS w "
            f"FROM (SELECT id, e.key AS k, e.value AS v FROM (SELECT id, {entries} AS e FROM {table} "
            f"WHERE json_extract(CAST({column} AS JSON), {quoted('$' + json_step(id))}) IS NOT NULL)) GROUP BY id"
            f") n WHERE n.id = {table}.id"
        )
