"""A mapping compiled to SQL: staged native records read into a kind's columns (``native`` holds the way back).

Every statement is read by DuckDB's own parser before it is used, so it is one SELECT and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from migrator.kinds import Field, Kind
from migrator.mapping import Keyed, Variant, Verb, word

BIG = 8  # value maps longer than this become a hash join instead of a CASE

STRIP_PREFACE = r"^(<div[^>]*>)?\s*<p[^>]*>⟦[^⟧]*⟧</p>"
STRIP_LINE = r"^⟦[^⟧]*⟧\s*"  # the same, where the vendor has plain text


def quoted(text: str) -> str:
    """Return a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def name(identifier: str) -> str:
    """Return a quoted identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def flagged(kind: Kind, alias: str, *, always: bool = False) -> str:
    """Return the SQL test for records that a flag keeps from being written: built in, deleted, spam.

    ``always``: only the flags that hold even where something refers to the record.
    """
    flags = [
        f"COALESCE({alias}.{name(label)}, FALSE)"
        for label, spec in kind.fields.items()
        if spec.skip
        and not (spec.skip.unless_written or spec.skip.unless_there)
        and not (always and spec.skip.unless_referenced)
    ]
    return f"({' OR '.join(flags)})" if flags else "FALSE"


def match_key(kind: Kind, alias: str, *, role: bool = False) -> str:
    """Return the SQL of what makes two records of a kind the same, whatever the case; NULL where there is nothing.

    ``role``: what makes them the same by what they are for.
    """
    shape = "CAST({} AS VARCHAR)" if kind.case_counts else "lower(trim(CAST({} AS VARCHAR)))"
    parts = [shape.format(f"{alias}.{name(field)}") for field in (kind.role if role else kind.match)]
    return " || chr(31) || ".join(parts) if parts else "CAST(NULL AS VARCHAR)"


@lru_cache(maxsize=512)
def checked(sql: str) -> str:
    """Return the statement. Raises ValueError unless DuckDB reads exactly one SELECT in it.

    Read by sqlglot, the statements of two vendors took 1.3 CPU s of each command; by DuckDB 0.06 (2026-11-27).
    """
    import duckdb

    try:
        found = _parser().cursor().extract_statements(sql)
    except duckdb.Error as err:
        raise ValueError(f"a mapping compiles to SQL that DuckDB does not read: {err}") from err
    if [one.type for one in found] != [duckdb.StatementType.SELECT]:
        raise ValueError("a mapping compiles to one SELECT")
    return sql


@cache
def _parser() -> Any:
    """Return a connection to nothing, with no threads of its own: a process that is forked would miss them."""
    import duckdb

    return duckdb.connect(":memory:", config={"threads": 1})


def json_path(path: str) -> str:
    """Return DuckDB's JSON path for a dotted one; ``@value`` is the element itself."""
    return "$" if path == "@value" else "$" + "".join(json_step(step) for step in path.split("."))


def json_step(key: str) -> str:
    """Return one step of DuckDB's JSON path, whatever is in the key."""
    return '."' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass
class _Reader:
    """Collects the JSON paths one variant needs, so that each document is parsed once."""

    inner: list[str] = field(default_factory=list)
    outer: list[str] = field(default_factory=list)
    whole: bool = False

    def body(self) -> str:
        """Return the whole record as text."""
        self.whole = True
        return 'v."@body"'

    def at(self, path: str) -> str:
        if path == "@id":
            return 'v."@id"'
        if path == "@parent":
            return 'v."@parent"'
        paths, column = (self.outer, "o") if path.startswith("^.") else (self.inner, "s")
        path = path.removeprefix("^.")
        if path not in paths:
            paths.append(path)
        return f"v.{column}[{paths.index(path) + 1}]"


def canonical_sql(
    kind: Kind, variants: tuple[Variant, ...], relation: Callable[[Variant], str], fields: str, *, given: bool = False
) -> str:
    """Return the SELECT that reads ``kind``: ``id, variant`` and its fields.

    ``relation`` names the staged rows of a variant: ``id, parent, body``. With ``given`` the rows are predictions:
    ``id`` and the owner's ``parent`` are ours already, and the body is the record itself. ``fields`` is the relation of
    custom fields: ``id, applies_to, key, type, options, option_keys``.
    """
    return checked(
        "\nUNION ALL BY NAME\n".join(_read(kind, variant, relation(variant), fields, given) for variant in variants)
    )


def problems_sql(kind: Kind, variant: Variant, relation: str) -> str | None:
    """Return the SELECT of values that could not be read: ``id, field, raw``; None where every text is welcome."""
    reader, parts = _Reader(), []
    joins: list[str] = []
    for label, spec in kind.fields.items():
        verb = variant.fields.get(label)
        fussy = spec.type in ("integer", "number", "boolean", "timestamp", "date")
        if verb is None or not verb.path or verb.each or verb.not_empty:
            continue
        if not (fussy or verb.keyed or (verb.values and verb.otherwise == "none")):
            continue
        raw = reader.at(verb.path)
        if verb.keyed:
            parts.append(
                f"{{'field': {quoted(label)}, 'raw': CASE WHEN {raw} NOT IN ('', '[]', '{{}}') "
                f"AND {_keyed_raw(verb.keyed, raw)} IS NULL THEN {raw} END}}"
            )
            continue
        parts.append(
            f"{{'field': {quoted(label)}, 'raw': CASE WHEN NULLIF({raw}, '') IS NOT NULL AND NOT ({_none(verb, raw)}) "
            f"AND ({_value(spec, verb, reader, joins)}) IS NULL THEN {raw} END}}"
        )
    if not parts:
        return None
    columns = f"{_id(variant, reader)} AS id, unnest([{', '.join(parts)}]) AS p"
    rows = _rows(variant, relation, reader, given=False)
    return checked(
        "SELECT id, p.field AS field, p.raw AS raw "
        f"FROM (WITH v AS ({rows}) SELECT {columns} FROM v {' '.join(joins)}) "
        "WHERE p.raw IS NOT NULL"
    )


def _read(kind: Kind, variant: Variant, relation: str, fields: str, given: bool) -> str:
    reader = _Reader()
    joins: list[str] = []
    columns = ['v."@id" AS id' if given else f"{_id(variant, reader)} AS id", f"{quoted(variant.name)} AS variant"]
    owner = kind.owner
    for label, spec in kind.fields.items():
        verb = variant.fields.get(label)
        if verb is None or spec.type == "blob":
            value = "NULL"
        elif given and label == owner:
            value = 'v."@parent"'
        elif verb.rank:
            value = "NULL" if given else _rank(verb, variant, owner, reader)
        elif verb.keyed:
            value = _keyed_join(label, verb, fields, reader, joins)
        elif verb.rule:
            value = f"rule_read({quoted(verb.rule.dialect)}, {quoted(verb.rule.kind)}, {reader.body()})"
        else:  # a prediction names records by our own ids, which have no prefix of the vendor's
            value = _value(spec, verb.model_copy(update={"prefix": ""}) if given else verb, reader, joins)
        columns.append(f"CAST({value} AS {spec.column}) AS {name(label)}")
    rows = _rows(variant, relation, reader, given)
    return f"SELECT * FROM (WITH v AS ({rows}) SELECT {', '.join(columns)} FROM v {' '.join(joins)})"


def covers(variant: Variant, body: str = "body") -> str:
    """Return the SQL test for the staged rows a variant covers: its ``where`` and ``unless``."""
    tests = []
    for conditions, test in ((variant.where, "IN"), (variant.unless, "NOT IN")):
        for path, values in conditions.items():
            listed = ", ".join(quoted(word(value)) for value in values)
            tests.append(f"COALESCE(json_extract_string({body}, {quoted(json_path(path))}), '') {test} ({listed})")
    return " AND ".join(tests) or "TRUE"


def _rows(variant: Variant, relation: str, reader: _Reader, given: bool) -> str:
    """Return the rows a variant covers, each document's paths extracted in one go."""

    def paths(wanted: list[str]) -> str:
        return "[" + ", ".join(quoted(json_path(path)) for path in wanted) + "]"

    where = "" if given or not (variant.where or variant.unless) else f" WHERE {covers(variant)}"
    inner = (
        f", json_extract_string({'e' if variant.each and not given else 'body'}, {paths(reader.inner)}) AS s"
        if reader.inner
        else ""
    )
    if variant.each and not given:
        outer = f", json_extract_string(body, {paths(reader.outer)}) AS o" if reader.outer else ""
        each = quoted(json_path(variant.each) + "[*]")
        rows = (
            f'SELECT id AS "@id", parent AS "@parent"{outer}, unnest(json_extract(body, {each})) AS e '
            f"FROM {relation}{where}"
        )
        return f"SELECT *{inner} FROM ({rows})"
    outer = ", CAST([] AS VARCHAR[]) AS o" if reader.outer else ""
    whole = ', CAST(body AS VARCHAR) AS "@body"' if reader.whole else ""
    return f'SELECT id AS "@id", parent AS "@parent"{outer}{inner}{whole} FROM {relation}{where}'


def _id(variant: Variant, reader: _Reader) -> str:
    parts = [f"{quoted(text)} || {reader.at(path)}" if text else reader.at(path) for text, path in variant.id_parts()]
    return " || ".join(parts)


def _none(verb: Verb, raw: str) -> str:
    return f"{raw} IN ({', '.join(quoted(word) for word in verb.none)})" if verb.none else "FALSE"


def _raw(verb: Verb, reader: _Reader) -> str:
    """Return the value at a verb's path, or at the first of its paths that holds anything."""
    raws = [reader.at(path) for path in verb.reads]
    return raws[0] if len(raws) == 1 else "COALESCE(" + ", ".join(f"NULLIF({raw}, '')" for raw in raws) + ")"


def _value(spec: Field, verb: Verb, reader: _Reader, joins: list[str]) -> str:
    """Return the expression of one field: canonical, or NULL where the record says nothing (or nothing readable)."""
    if verb.constant is not None:
        return quoted(word(verb.constant))
    raw = _raw(verb, reader)
    if verb.not_empty:
        return f"({raw} IS NOT NULL AND {raw} NOT IN ('', '[]', '{{}}'))"
    if verb.none:
        raw = f"CASE WHEN {_none(verb, raw)} THEN NULL ELSE {raw} END"
    if verb.values is not None:
        pairs = {word(native): word(canonical) for native, canonical in verb.values.items()}
        otherwise = {"keep": raw, "none": "NULL"}.get(str(verb.otherwise), quoted(word(verb.otherwise)))
        raw = lookup(raw, {k: quoted(v) for k, v in pairs.items()}, otherwise, joins)
    if spec.type in ("list", "refs"):
        listed = (
            f"json_extract_string({raw}, {quoted('$[*]' + json_step(verb.each))})"
            if verb.each
            else f"string_split({raw}, {quoted(verb.split)})"
            if verb.split
            else f"[{raw}]"
            if verb.one
            else f"from_json(CASE WHEN left({raw}, 1) = '[' THEN {raw} END, '[\"VARCHAR\"]')"
        )
        listed = f"list_filter({listed}, lambda x: x IS NOT NULL AND x <> '')"
        if spec.unordered:
            listed = f"list_sort(list_distinct({listed}))"
        return f"CASE WHEN len({listed}) > 0 THEN {listed} END"
    if spec.type == "ref":
        return f"{quoted(verb.prefix)} || {raw}" if verb.prefix else f"NULLIF({raw}, '')"
    if spec.type == "boolean" and verb.invert:
        return f"NOT TRY_CAST({raw} AS BOOLEAN)"
    if spec.type == "timestamp" and verb.unix:  # 0 is how Ruby writes a time that never was
        return f"make_timestamp(TRY_CAST(round(NULLIF(TRY_CAST({raw} AS DOUBLE), 0) * 1000000) AS BIGINT))"
    if spec.type == "timestamp":
        return f"CAST(TRY_CAST({raw} AS TIMESTAMPTZ) AS TIMESTAMP)"
    if spec.type == "integer":
        return _whole(raw)
    if spec.type in ("number", "boolean", "date"):
        return f"TRY_CAST({raw} AS {spec.column})"
    if spec.type == "html" and verb.preface and not verb.text:
        return f"NULLIF(regexp_replace({raw}, {quoted(STRIP_PREFACE)}, '\\1'), '')"
    if spec.type == "html" and verb.text:
        if verb.preface:
            raw = f"regexp_replace({raw}, {quoted(STRIP_LINE)}, '')"
        escaped = f"replace(replace(replace({raw}, '&', '&amp;'), '<', '&lt;'), '>', '&gt;')"
        return f"NULLIF(replace({escaped}, chr(10), '<br>'), '')"
    return f"NULLIF({raw}, '')"


def _whole(raw: str) -> str:
    """Return a whole number; 1.5 is none, where DuckDB's own cast would round it."""
    return f"CASE WHEN regexp_full_match({raw}, '[+-]?[0-9]+([.]0*)?') THEN TRY_CAST({raw} AS BIGINT) END"


def lookup(raw: str, pairs: Mapping[str, str], otherwise: str, joins: list[str]) -> str:
    """Return ``raw`` looked up in ``pairs`` (text to SQL value): a CASE while short, a hash join when long."""
    if not pairs:
        return otherwise
    if len(pairs) <= BIG:
        return f"CASE {raw} {' '.join(f'WHEN {quoted(k)} THEN {v}' for k, v in pairs.items())} ELSE {otherwise} END"
    alias = f"m{len(joins)}"
    rows = ", ".join(f"({quoted(k)}, {v})" for k, v in pairs.items())
    joins.append(f"LEFT JOIN (SELECT * FROM (VALUES {rows}) AS t(k, w)) AS {alias} ON {alias}.k = {raw}")
    return f"{alias}.w" if otherwise == "NULL" else f"COALESCE({alias}.w, {otherwise})"


def _rank(verb: Verb, variant: Variant, owner: str | None, reader: _Reader) -> str:
    by = [reader.at(path) for path in verb.rank]
    order = ", ".join(f"length({column}), {column}" for column in by)
    within = reader.at(variant.fields[owner].path or "@parent") if owner else "1"
    return f"row_number() OVER (PARTITION BY {within} ORDER BY {order}) + {verb.start - 1}"


def _keyed_join(label: str, verb: Verb, fields: str, reader: _Reader, joins: list[str]) -> str:
    """Return the column of a custom-value map: exploded, translated field by field, gathered again as sorted JSON."""
    keyed, raw = verb.keyed, _raw(verb, reader)
    assert keyed is not None
    alias = f"k{len(joins)}"
    if keyed.style == "list":
        entry = f"unnest(json_extract({_keyed_raw(keyed, raw)}, '$[*]'))"
        key, value = "json_extract_string(e, '$.id')", "json_extract(e, '$.value')"
    else:
        entry = f"unnest(map_entries({_keyed_raw(keyed, raw)}))"
        key, value = "e.key", "e.value"
    exploded = f'SELECT v."@id" AS rid, {entry} AS e FROM v WHERE {raw} IS NOT NULL'
    text = "json_extract_string(value, '$')"
    items = "from_json(value, '[\"VARCHAR\"]')"
    choice = "COALESCE(f.options[list_position(f.option_keys, {0})], {0})" if keyed.choice == "key" else "{0}"
    listed = f"list_transform({items}, lambda x: {choice.format('x')})"
    canonical = f"""CASE
        WHEN json_type(value) = 'ARRAY' THEN CASE WHEN len({items}) > 0 THEN to_json({listed}) END
        WHEN {text} = '' OR (f.type = 'checkbox' AND {text} = 'false') THEN NULL
        WHEN f.type = 'multiselect' THEN to_json([{choice.format(text)}])
        WHEN f.type = 'dropdown' THEN to_json({choice.format(text)})
        WHEN f.type = 'integer' THEN to_json(COALESCE(CAST({_whole(text)} AS VARCHAR), {text}))
        WHEN f.type = 'decimal' THEN to_json(COALESCE(CAST(TRY_CAST({text} AS DOUBLE) AS VARCHAR), {text}))
        WHEN f.type = 'date' THEN to_json(COALESCE(CAST(TRY_CAST(left({text}, 10) AS DATE) AS VARCHAR), {text}))
        ELSE to_json({text}) END"""
    by = "id" if keyed.by == "id" else "key"
    joins.append(
        f"LEFT JOIN (SELECT rid, CAST(to_json(map_from_entries(list({{'k': k, 'v': w}} ORDER BY k))) AS VARCHAR) AS w "
        "FROM (SELECT rid, k, min(w) AS w "
        f"FROM (SELECT rid, COALESCE(f.id, 'unknown:' || x.key) AS k, {canonical} AS w "
        f"FROM (SELECT rid, {key} AS key, {value} AS value FROM ({exploded})) x "
        f"LEFT JOIN (SELECT * FROM {fields} WHERE applies_to = {quoted(keyed.applies_to)}) f ON f.{by} = x.key "
        "WHERE x.key IS NOT NULL AND value IS NOT NULL AND json_type(value) <> 'NULL') WHERE w IS NOT NULL "
        f"GROUP BY rid, k) GROUP BY rid) {alias} "
        f'ON {alias}.rid = v."@id"'
    )
    return f"{alias}.w"


def _keyed_raw(keyed: Keyed, raw: str) -> str:
    """Return what holds custom values, as DuckDB takes it apart; NULL where it is not what the mapping says."""
    json = f"TRY_CAST({raw} AS JSON)"
    if keyed.style == "list":
        return f"CASE WHEN json_type({json}) = 'ARRAY' THEN {json} END"
    return f"TRY_CAST({json} AS MAP(VARCHAR, JSON))"
