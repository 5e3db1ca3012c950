"""The way back: canonical records compiled to what is written, within the limits of the destination.

The bodies are shaped as the vendor gives them back: read by ``compile.canonical_sql``, they *predict what will be read*
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from migrator.compile import checked, lookup, name, quoted
from migrator.kinds import Field, Kind
from migrator.manifest import Keep, Write
from migrator.mapping import Scalar, Variant, Verb
from migrator.seals import of_schemes

NOT_OF_A_WORD = r"[^\p{L}\p{N}_\-/:.]+"
ONE_CASE = r"\p{Lu}+|\p{Ll}+"
ELSEWHERE = r"(?:(?:https?|ftp):)?//"  # how an address begins that is not the vendor's own
PICTURE = (
    rf"<img\b[^>]*?\ssrc\s*=\s*(?:\"\s*({ELSEWHERE}[^\">]*)\"|'\s*({ELSEWHERE}[^'>]*)'|({ELSEWHERE}[^\s\"'>]*))[^>]*>"
)
Tree = dict[str, Any]  # a body: names to SQL expressions, or to trees of their own


def native_sql(
    kind: Kind, variant: Variant, write: Write, *, rows: str, vendor: str, kind_name: str, fields: str
) -> str:
    """Return the SELECT of what is written: ``id, parent, body``, the body shaped as the vendor will give it back.

    ``rows``: canonical records whose references all arrive. References stay source ids; ``load`` resolves them.
    ``fields``: the custom fields as the destination will have them (ids ours).
    """
    return _Writer(kind, variant, write, vendor, kind_name, fields).sql(rows)


@dataclass
class _Writer:
    """Writes one variant of a kind. ``joins`` collects what the expressions need beside the record ``c``."""

    kind: Kind
    variant: Variant
    write: Write
    vendor: str
    kind_name: str
    fields: str
    joins: list[str] = field(default_factory=list)
    keyed: dict[str, str] = field(default_factory=dict)  # a map's field to the alias of its join

    def sql(self, rows: str) -> str:
        tree: Tree = {}
        beside: dict[str, list[tuple[str, str, Keep]]] = {}  # a list of objects, one canonical list for each leaf
        for label, spec in self.kind.fields.items():
            verb, keep = self.variant.fields.get(label), self.write.fields.get(label)
            if verb is None or verb.constant is not None or verb.rank or spec.type == "blob":
                continue
            if keep is None or not verb.path or verb.path.startswith(("@", "^")):
                continue
            if keep.follows:
                followed = self._followed(keep.follows)
                own = f"COALESCE({self._field(label, spec, verb, keep)}, {followed})"
                _plant(tree, verb.path, followed if keep.write == "never" else own)
            elif keep.write != "never" and spec.type == "list" and verb.each:
                beside.setdefault(verb.path, []).append((verb.each, self._items(label, keep), keep))
            elif keep.write != "never":
                _plant(tree, verb.path, self._field(label, spec, verb, keep))
        for path, lists in beside.items():
            _plant(tree, path, self._judged(_zipped([(each, items) for each, items, _ in lists]), lists[0][2]))
        whole = next((label for label, verb in self.variant.fields.items() if verb.path == "@value"), None)
        for path, value in self.write.constants.items():
            _plant(tree, path, _json(value))
        if not self.variant.id.startswith(("@", "^")) and "{" not in self.variant.id:
            _plant(tree, self.variant.id, "to_json(c.id)")
        parent = f"c.{name(self.kind.owner)}" if self.kind.owner else "NULL"
        body = f"to_json(c.{name(whole)})" if whole else _object(tree)
        if self.kind.rule and self.kind.rule in self.write.fields:  # in the destination's words already (decide)
            body = f"json_merge_patch(CAST(c.{name(self.kind.rule)} AS JSON), {body})"
        return checked(
            f"WITH c AS (SELECT * FROM {rows}) "
            f"SELECT c.id AS id, {parent} AS parent, {body} AS body FROM c {' '.join(self.joins)}"
        )

    def _own_key(self) -> str:
        return f"{quoted(f'{self.vendor}:{self.kind_name}:')} || c.id"

    def _field(self, label: str, spec: Field, verb: Verb, keep: Keep) -> str:
        column = f"c.{name(label)}"
        if verb.keyed:
            return f"{self._map(label, verb, keep)}.w"
        if verb.values is not None:
            back = {canonical: _json(native) for canonical, native in verb.back().items()}
            key = f"CAST({column} AS VARCHAR)"
            otherwise = f"to_json({column})" if verb.otherwise == "keep" else "NULL"
            expression = lookup(key, back, otherwise, self.joins)
        elif spec.type in ("list", "refs"):
            items = self._items(label, keep)
            joined = f"array_to_string({items}, {quoted(verb.split)})" if verb.split else items
            joined = f"({items})[1]" if verb.one else joined
            expression = f"to_json({joined})"
        elif spec.type == "timestamp":
            moment = f"date_trunc('day', {column})" if keep.whole_days else column
            told = f"CAST(epoch({moment}) AS BIGINT)" if verb.unix else f"strftime({moment}, '%Y-%m-%dT%H:%M:%SZ')"
            expression = f"to_json({told})"
        elif spec.type == "date":
            expression = f"to_json(CAST({column} AS VARCHAR))"
        elif spec.type == "html" and verb.preface and not verb.text:
            expression = f"to_json({'' if keep.bare else self._preface(verb) + ' || '}{limited(column, keep)})"
        elif spec.type == "boolean" and verb.invert:
            expression = f"to_json(NOT {column})"
        elif verb.not_empty:
            expression = f"CASE WHEN {column} THEN to_json(TRUE) END"
        elif spec.type == "html" and verb.text:
            line = self._preface(verb, words=True) + " || " if verb.preface and not keep.bare else ""
            expression = f"to_json({line}{limited(_words(column), keep)})"
        elif spec.type in ("text", "html"):
            expression = f"to_json({limited(column, keep)})"
            if verb.else_key:
                expression = f"COALESCE({expression}, to_json({self._own_key()}))"
        else:
            expression = f"to_json({_within(column, keep)})"
        if keep.kinds:
            expression = f"CASE WHEN {_arrives_as(column, keep.kinds)} THEN {expression} END"
        if keep.member_of:
            of, this, other = keep.member_of
            belongs = f"m.{name(this)} = {column} AND m.{name(other)} = c.{name(other)}"
            expression = (
                f"CASE WHEN EXISTS (SELECT 1 FROM canonical.{name(of)} m WHERE {belongs}) THEN {expression} END"
            )
        if keep.fits:
            own = self.write.fields.get(keep.fits.own)
            ours = f"COALESCE(c.{name(keep.fits.own)}, {_literal(own.default if own else None)})"
            words = " ".join(f"WHEN {quoted(was)} THEN {quoted(is_)}" for was, is_ in keep.fits.counts_as.items())
            counts = f"CASE {ours} {words} ELSE {ours} END" if words else ours
            expression = f"CASE WHEN {self._follow((label, keep.fits.theirs))}.w = {counts} THEN {expression} END"
        if keep.same_as:
            expression = f"CASE WHEN {column} = {self._follow(keep.same_as)}.w THEN {expression} END"
        return self._judged(expression, keep)

    def _judged(self, expression: str, keep: Keep) -> str:
        """Return the expression where the vendor takes its value, and what stands in its place elsewhere."""
        if keep.one_of:
            allowed = ", ".join(_json(value) for value in keep.one_of)
            expression = f"CASE WHEN {expression} IN ({allowed}) THEN {expression} END"
        for other, values in keep.only_with.items():
            wanted = ", ".join(quoted(value) for value in values)
            expression = f"CASE WHEN c.{name(other)} IN ({wanted}) THEN {expression} END"
        if keep.default_field:
            other = f"c.{name(keep.default_field)}"
            expression = f"COALESCE({expression}, to_json({_one_word(other) if keep.one_word else other}))"
        if keep.default is not None:
            expression = f"COALESCE({expression}, {_json(keep.default)})"
        return expression

    def _items(self, label: str, keep: Keep) -> str:
        """Return a list within its limits."""
        column = f"c.{name(label)}"
        if keep.adds:
            verb = self.variant.fields[keep.adds]
            chosen = f"{self._map(keep.adds, verb, self.write.fields[keep.adds])}.chosen"
            column = f"list_concat(COALESCE({column}, []), COALESCE({chosen}, []))"
        if keep.default_field and keep.one_word:
            other = f"c.{name(keep.default_field)}"
            column = f"list_transform({other}, lambda x, i: COALESCE({column}[i], x))"
        limited = f"list_slice({column}, 1, {keep.max})" if keep.max else column
        for taken, given in keep.replaces.items():
            limited = f"list_transform({limited}, lambda x: replace(x, {quoted(taken)}, {quoted(given)}))"
        if keep.one_word:
            limited = f"list_transform({limited}, lambda x: {_one_word('x')})"
        if keep.max_item:
            limited = f"list_transform({limited}, lambda x: trim(left(trim(x), {keep.max_item})))"
        if (keep.max_item or keep.one_word or keep.adds) and not keep.default_field:
            # list_distinct loses the order
            limited = f"list_filter({limited}, lambda x, i: list_position({limited}, x) = i)"
        return f"list_sort(list_distinct({limited}))" if keep.sorted else limited

    def _preface(self, verb: Verb, *, words: bool = False) -> str:
        assert verb.preface is not None
        alias = f"p{len(self.joins)}"
        self.joins.append(f"LEFT JOIN labels {alias} ON {alias}.id = c.{name(verb.preface.by)}")
        person = f"regexp_replace(COALESCE({alias}.label, 'unknown'), '[⟦⟧\\p{{C}}]', '', 'g')"
        before, after = ("⟦", "⟧") if words else ("<p>⟦", "⟧</p>")
        escaped = f"replace(replace(replace({person}, '&', '&amp;'), '<', '&lt;'), '>', '&gt;')"
        at = f"COALESCE(strftime(c.{name(verb.preface.at)}, '%Y-%m-%d %H:%M UTC'), 'no date')"
        end = quoted(after) + (" || chr(10) || chr(10)" if words else "")
        who = person if words else escaped
        return f"{quoted(before)} || {who} || ', ' || {at} || {quoted(f', {self.vendor} ')} || c.id || {end}"

    def _followed(self, follows: tuple[str, str]) -> str:
        """Return what the vendor itself takes from the record a reference names, as it will be there."""
        return f"to_json({self._follow(follows)}.w)"

    def _follow(self, follows: tuple[str, str]) -> str:
        """Join a field of the record a reference names, as it will be there; return the alias, whose ``w`` it is."""
        reference, wanted = follows
        alias = f"f{len(self.joins)}"
        self.joins.append(
            f"LEFT JOIN (SELECT id, {name(wanted)} AS w FROM predicted.{name(self.kind.fields[reference].to[0])}) "
            f"{alias} ON {alias}.id = c.{name(reference)}"
        )
        return alias

    def _map(self, label: str, verb: Verb, keep: Keep) -> str:
        """Join custom values as stored at the vendor, keyed by our field ids: fields that arrive, valid choices only.

        Returns the join's alias: ``w`` holds the values, ``chosen`` the keys of the options among them.
        """
        if label in self.keyed:
            return self.keyed[label]
        keyed = verb.keyed
        assert keyed is not None
        alias = self.keyed[label] = f"k{len(self.joins)}"
        text = "json_extract_string(value, '$')"
        items = "from_json(value, '[\"VARCHAR\"]')"
        valid = f"list_filter({items}, lambda x: list_contains(f.options, x))"
        own = "COALESCE(f.option_keys[list_position(f.options, {0})], {0})"
        stored = own if keyed.choice == "key" else "{0}"
        several = f"list_transform({valid}, lambda x: {stored.format('x')})"
        limits = " ".join(
            f"WHEN f.type = {quoted(of)} THEN to_json(NULLIF(trim(left(trim({text}), {most})), ''))"
            for of, most in keep.type_max.items()
        )
        chosen_one = f"CASE WHEN list_contains(f.options, {text}) THEN"
        native = f"""CASE
            WHEN f.type = 'multiselect' AND json_type(value) = 'ARRAY'
                THEN CASE WHEN len({valid}) > 0 THEN to_json({several}) END
            WHEN f.type = 'multiselect' THEN {chosen_one} to_json([{stored.format(text)}]) END
            WHEN f.type = 'dropdown' AND json_type(value) = 'ARRAY' AND len({items}) > 1 THEN NULL
            WHEN json_type(value) = 'ARRAY' THEN to_json(array_to_string({items}, ', '))
            WHEN f.type = 'dropdown' THEN {chosen_one} to_json({stored.format(text)}) END
            WHEN f.type = 'integer' THEN to_json(TRY_CAST({text} AS BIGINT))
            WHEN f.type = 'decimal' THEN to_json(TRY_CAST({text} AS DOUBLE))
            WHEN f.type = 'checkbox' THEN to_json(TRY_CAST({text} AS BOOLEAN))
            WHEN f.type = 'date' THEN to_json(CAST(TRY_CAST({text} AS DATE) AS VARCHAR))
            {limits} ELSE to_json({text}) END"""
        chosen = f"""CASE
            WHEN f.type = 'multiselect' AND json_type(value) = 'ARRAY'
                THEN list_transform({valid}, lambda x: {own.format("x")})
            WHEN f.type IN ('multiselect', 'dropdown') THEN {chosen_one} [{own.format(text)}] END END"""
        key = (
            f" UNION ALL SELECT c.id, {quoted(self.write.key_field)}, to_json({self._own_key()}), NULL FROM c"
            if self.write.key_field
            else ""
        )
        gathered = (
            "to_json(map_from_entries(list({'k': k, 'v': w} ORDER BY k)))"
            if keyed.style == "object"
            else "to_json(list({'id': k, 'value': w} ORDER BY k))"
        )
        self.joins.append(
            f"LEFT JOIN (SELECT rid, {gathered} AS w, flatten(list(t ORDER BY k) FILTER (t IS NOT NULL)) AS chosen "
            f"FROM (SELECT rid, f.id AS k, {native} AS w, {chosen} AS t FROM ("
            f"SELECT rid, e.key AS key, e.value AS value FROM (SELECT c.id AS rid, "
            f"unnest(map_entries(CAST(CAST(c.{name(label)} AS JSON) AS MAP(VARCHAR, JSON)))) AS e FROM c "
            f"WHERE c.{name(label)} IS NOT NULL)) x JOIN {self.fields} f ON f.id = x.key "
            f"AND f.applies_to = {quoted(keyed.applies_to)}{key}) WHERE w IS NOT NULL AND json_type(w) <> 'NULL' "
            f"GROUP BY rid) {alias} ON {alias}.rid = c.id"
        )
        return alias


def _literal(value: Scalar | None) -> str:
    return "NULL" if value is None else quoted(str(value))


def _arrives_as(column: str, kinds: tuple[str, ...]) -> str:
    """Return the test that a reference's record is one of these kinds at the destination."""
    listed = ", ".join(quoted(kind) for kind in kinds)
    there = "'create', 'keep', 'update', 'merge'"
    return f"{column} IN (SELECT id FROM plan.decided WHERE as_kind IN ({listed}) AND action IN ({there}))"


def _plant(tree: Tree, path: str, expression: str) -> None:
    *way, last = path.split(".")
    for step in way:
        tree = tree.setdefault(step, {})
    tree[last] = expression


def _object(tree: Tree) -> str:
    if not tree:
        return "CAST('{}' AS JSON)"
    parts = [f"{quoted(k)}, {_object(v) if isinstance(v, dict) else v}" for k, v in tree.items()]
    return f"json_object({', '.join(parts)})"


def _zipped(lists: list[tuple[str, str]]) -> str:
    """Return a list of objects, each leaf from a list of its own."""
    (first, items), *others = lists
    leaves = ", ".join(f"{quoted(each)}, ({other})[i]" for each, other in others)
    lambda_ = "lambda x, i" if others else "lambda x"
    return f"to_json(list_transform({items}, {lambda_}: json_object({quoted(first)}, x{', ' * bool(others)}{leaves})))"


def _json(value: Scalar) -> str:
    return f"CAST({quoted(json.dumps(value, ensure_ascii=False))} AS JSON)"


def _one_word(text: str) -> str:
    return f"trim(regexp_replace(lower({text}), {quoted(NOT_OF_A_WORD)}, '_', 'g'), '_')"


def _words(column: str) -> str:
    """Return HTML as plain text: lines, words, and nothing of the markup."""
    ends = "<br *\\/?>|<\\/(p|div|li|tr|h[1-6]|blockquote)>"
    lines = f"regexp_replace(regexp_replace({column}, '{ends}', chr(10), 'gi'), '<[^>]*>', '', 'g')"
    for entity, character in (("&nbsp;", "' '"), ("&quot;", "chr(34)"), ("&#39;", "chr(39)")):
        lines = f"replace({lines}, '{entity}', {character})"
    return f"replace(replace(replace({lines}, '&lt;', '<'), '&gt;', '>'), '&amp;', '&')"


def _within(number: str, keep: Keep) -> str:
    """Return a number raised or lowered to what the vendor takes."""
    if keep.least is not None:
        number = f"CASE WHEN {number} < {keep.least} THEN {keep.least} ELSE {number} END"
    if keep.most is not None:
        number = f"CASE WHEN {number} > {keep.most} THEN {keep.most} ELSE {number} END"
    return number


def limited(column: str, keep: Keep) -> str:
    """Return a text within what the vendor takes; NULL where it takes none of it."""
    if keep.trim:
        column = f"NULLIF(regexp_replace({column}, '^\\s+|\\s+$', '', 'g'), '')"
    if keep.last_part:
        column = f"NULLIF(regexp_replace({column}, '^.*[/\\\\]', '', 's'), '')"
    for taken, given in keep.replaces.items():
        column = f"replace({column}, {quoted(taken)}, {quoted(given)})"
    if keep.lower:
        column = f"lower({column})"
    if keep.one_word:
        column = f"NULLIF({_one_word(column)}, '')"
    if keep.capital:
        raised = f"upper(left({column}, 1)) || lower(substr({column}, 2))"
        column = f"CASE WHEN regexp_full_match({column}, {quoted(ONE_CASE)}) THEN {raised} ELSE {column} END"
    if keep.pictures == "link":
        link = quoted(r'<a href="\1\2\3">\1\2\3</a>')
        column = f"regexp_replace({column}, {quoted(PICTURE)}, {link}, 'gi')"
    if keep.max:
        column = f"left({column}, {keep.max})"
        if keep.trim:
            column = f"regexp_replace({column}, '\\s+$', '')"
    if keep.max_bytes:
        fits = f"list_filter(range(0, {keep.max_bytes + 1}), lambda n: strlen(left({column}, n)) <= {keep.max_bytes})"
        column = (
            f"CASE WHEN strlen({column}) <= {keep.max_bytes} THEN {column} ELSE left({column}, list_max({fits})) END"
        )
    if keep.matches:
        column = f"CASE WHEN regexp_full_match({column}, {quoted(keep.matches)}) THEN {column} END"
    if keep.schemes:
        column = f"CASE WHEN regexp_full_match({column}, {quoted(of_schemes(keep.schemes))}) THEN {column} END"
    return column
