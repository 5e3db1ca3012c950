"""What happens to each record, and why: one table a kind, made by one statement, with every reference that arrives.

``native."work <kind>"`` holds the kind's records as they may be written; ``plan.decided`` one line for each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from migrator.compile import covers, flagged, match_key, name, quoted
from migrator.kinds import Kind, Kinds
from migrator.live import OTHER
from migrator.manifest import Manifest, Write
from migrator.mapping import Mapping, Variant, word
from migrator.native import limited
from migrator.stage import Stage
from migrator.translate import Translator

ARRIVES = "('create', 'keep', 'update', 'merge', 'stand_in')"
WRITES = "('create', 'update', 'delete')"  # the actions that make a call
DECIDED = (
    "kind VARCHAR, id VARCHAR, as_kind VARCHAR, variant VARCHAR, action VARCHAR, reason VARCHAR, target VARCHAR, "
    "unit VARCHAR, lane VARCHAR, place BIGINT, own BOOLEAN, owner VARCHAR, blob VARCHAR, known BOOLEAN, stamp VARCHAR"
)
Case = tuple[str, str, str]  # (condition, action, reason), all but the action as SQL


@dataclass
class Decider:
    """Decides kind by kind, in the kinds' order. ``found``: the schema of what is at the destination (or none)."""

    stage: Stage
    kinds: Kinds
    manifest: Manifest
    mapping: Mapping
    source: str
    translator: Translator
    found: str | None = None
    without_seat: str = "stand_in"  # or manual, create

    def decide(self, kind_name: str) -> None:
        """Make the kind's working table and add its lines to ``plan.decided``."""
        kind = self.kinds.kinds[kind_name]
        write = self.manifest.write(kind_name)
        work = f"native.{name('work ' + kind_name)}"
        self.translator.translate(kind_name, kind)
        steps = [
            f"gathered AS (SELECT g.*, u.reason AS _unselected FROM ({self._gathered(kind_name, kind)}) g LEFT JOIN "
            f"plan.unselected u ON u.kind = g._kind AND u.id = g.id AND u.as_kind = {quoted(kind_name)})",
            f"named AS ({self._named(kind_name, kind)})",
            f"single AS ({self._single(kind_name, kind, write)})",
            f"joined AS ({self._joined(kind_name, kind, write)})",
            f"varied AS (SELECT *, {self._variant(kind_name, kind)} AS _variant FROM joined w)",
            f"judged AS (SELECT *, {self._judged(kind_name, kind, write)} AS _d FROM varied w)",
        ]
        self.stage.run(
            f"CREATE TABLE {work} AS WITH {', '.join(steps)} SELECT * EXCLUDE (_d), _d.a AS _action, _d.r AS _reason, "
            f"{self._target(kind, write)} AS _target, {self._as_kind(kind_name, kind, write)} AS _as_kind FROM judged w"
        )
        self._insert(kind_name, kind, work)
        self._insert_gone(kind_name, work)
        self._limit_bytes(kind_name, write, work)

    # ---- the steps of one kind --------------------------------------------------------------------------------------

    def _gathered(self, kind_name: str, kind: Kind) -> str:
        """The kind's own records, those that stand in as it, and the connector's own."""
        columns = ["id", *kind.fields]
        if kind.rule:
            return " UNION ALL BY NAME ".join([*self._translated(columns, kind_name, kind), *self._ours(kind_name)])
        parts = [self._selected(columns, f"canonical.{name(kind_name)}", kind_name)]
        for other_name, other in self.kinds.kinds.items():
            if other.stands_in == kind_name:
                shared = [column for column in columns if column == "id" or column in other.fields]
                standing = f"SELECT id FROM plan.decided WHERE kind = {quoted(other_name)} AND action = 'stand_in'"
                part = self._selected(shared, f"canonical.{name(other_name)}", other_name)
                parts.append(f"{part} WHERE id IN ({standing})")
        return " UNION ALL BY NAME ".join([*parts, *self._ours(kind_name)])

    def _ours(self, kind_name: str) -> list[str]:
        """The connector's own records, and those that rules need."""
        parts = []
        for own in self.manifest.setup:
            if own.kind == kind_name:
                values = ", ".join(f"{_literal(value)} AS {name(label)}" for label, value in own.fields.items())
                parts.append(f"SELECT {quoted(own.id)} AS id, {values}, {quoted(kind_name)} AS _kind, TRUE AS _own")
        return parts

    @staticmethod
    def _translated(columns: list[str], kind_name: str, kind: Kind) -> list[str]:
        """The kind's rules in the destination's words: the first part is the record, the others come along as ours."""
        listed = ", ".join(f"c.{name(column)}" for column in columns if column not in (kind.rule, "id", kind.label))
        called = f"c.{name(kind.label or 'id')}"
        numbered = f"COALESCE(t.label, {called} || ' (' || (t.part + 1) || ')')"
        told = f"t.native AS {name(kind.rule or '')}, t.does AS _does, t.why AS _why, {quoted(kind_name)} AS _kind"
        of = (
            f"canonical.{name(kind_name)} c {{}} JOIN plan.translated t ON t.kind = {quoted(kind_name)} AND t.id = c.id"
        )

        def part(id: str, label: str, rows: str, *, own: bool) -> str:
            titled = f", {label} AS {name(kind.label)}" if kind.label else ""
            return f"SELECT {id} AS id, {listed}{titled}, {told}, {str(own).upper()} AS _own FROM {rows}"

        return [
            part("c.id", f"COALESCE(t.label, {called})", f"{of.format('LEFT')} AND t.part = 0", own=False),
            part("c.id || '~' || (t.part + 1)", numbered, f"{of.format('')} AND t.part > 0", own=True),
        ]

    @staticmethod
    def _selected(columns: Iterable[str], relation: str, kind_name: str) -> str:
        listed = ", ".join(name(column) for column in columns)
        return f"SELECT {listed}, {quoted(kind_name)} AS _kind, FALSE AS _own FROM {relation}"

    def _named(self, kind_name: str, kind: Kind) -> str:
        """Another name where the destination's own built-in record has it: ours would be refused, or mixed up with it.
        ``_key`` is what a record is matched by, ``_first`` the earlier record it is the same as."""
        # Built in, not merely deleted there: an address keeps its spelling.
        built_in = any(
            spec.skip and not (spec.skip.unless_referenced or spec.skip.unless_written or spec.skip.unless_there)
            for spec in kind.fields.values()
        )
        way = "SELECT * FROM gathered w"
        if self.found and kind.match and built_in:
            label = name(kind.match[-1])
            taken = (
                f"SELECT {match_key(kind, 'f')} FROM {self.found}.{name(kind_name)} f "
                f"WHERE {flagged(kind, 'f')} AND {match_key(kind, 'f')} IS NOT NULL"
            )
            clash = f"NOT {flagged(kind, 'w')} AND {match_key(kind, 'w')} IN ({taken})"
            renamed = f"CASE WHEN {clash} THEN {label} || {quoted(f' ({self.source})')} ELSE {label} END"
            way = f"SELECT * REPLACE ({renamed} AS {label}) FROM gathered w"
        if self.found and kind.apart:
            label, same = name(kind.apart), f"lower(trim({{}}.{name(kind.apart)}))"
            ours = f"SELECT target FROM plan.known WHERE as_kind = {quoted(kind_name)}"
            taken = f"SELECT {same.format('f')} FROM {self.found}.{name(kind_name)} f WHERE f.id NOT IN ({ours})"
            renamed = f"CASE WHEN {same.format('w')} IN ({taken}) THEN {label} || {quoted(f' ({self.source})')} "
            way = f"SELECT * REPLACE ({renamed} ELSE {label} END AS {label}) FROM gathered w"
        if not kind.match or self._stands_alone(kind_name, kind):
            return f"SELECT *, CAST(NULL AS VARCHAR) AS _key, CAST(NULL AS VARCHAR) AS _first FROM ({way})"
        keyed = f"SELECT *, {match_key(kind, 'w')} AS _key, {self._fit(kind_name, kind)} AS _fit FROM ({way}) w"
        among = "OVER (PARTITION BY _key ORDER BY _own DESC, _fit DESC, length(id), id)"
        return (
            f"SELECT * EXCLUDE (_fit), CASE WHEN _key IS NOT NULL AND first_value(_fit) {among} "
            f"THEN NULLIF(first_value(id) {among}, id) END AS _first FROM ({keyed})"
        )

    def _fit(self, kind_name: str, kind: Kind) -> str:
        """Whether a record arrives by itself, so that an equal one may be merged into it."""
        write = self.manifest.write(kind_name)
        tests = [f"NOT COALESCE({test}, FALSE)" for test, _, _ in self._skipped(kind_name, kind, write, there=False)]
        for label, spec in kind.fields.items():
            keep = write.fields.get(label) if write else None
            if spec.required and not spec.to and not (keep and keep.default is not None):
                tests.append(f"w.{name(label)} IS NOT NULL")
        return " AND ".join(tests) or "TRUE"

    def _skipped(self, kind_name: str, kind: Kind, write: Write | None, *, there: bool = True) -> list[Case]:
        """What keeps a record from being written by what it is; ``there``: it is known what the destination has."""
        cases: list[Case] = []
        for label, spec in kind.fields.items():
            if spec.skip and not (spec.skip.unless_written and write and write.makes):
                needed = f" AND NOT {self._referenced(kind_name)}" if spec.skip.unless_referenced else ""
                needed += " AND w._there IS NULL" if spec.skip.unless_there and there else ""
                cases.append((f"(w.{name(label)}{needed})", "skip", quoted(spec.skip.because)))
        return cases

    def _single(self, kind_name: str, kind: Kind, write: Write | None) -> str:
        """Values that may be had once only, left to the record that has them first."""
        replaced, joins = [], []
        for label, keep in (write.fields if write else {}).items():
            if not keep.unique:
                continue
            column, alias = name(label), name(f"u {label}")
            if kind.fields[label].type == "list":
                there = "SELECT '' WHERE FALSE"
                if self.found:
                    ours = f"SELECT target FROM plan.known WHERE as_kind = {quoted(kind_name)}"
                    there = (
                        f"SELECT lower(unnest({column})) FROM {self.found}.{name(kind_name)} WHERE id NOT IN ({ours})"
                    )
                exploded = f"SELECT id, _kind, unnest({column}) AS one FROM named"
                ranked = (
                    "SELECT *, row_number() OVER (PARTITION BY lower(one) ORDER BY length(id), id) AS n "
                    f"FROM ({exploded}) "
                    f"WHERE lower(one) NOT IN ({there})"
                )
                joins.append(
                    f"LEFT JOIN (SELECT id, _kind, list(one ORDER BY one) AS some FROM ({ranked}) WHERE n = 1 "
                    "GROUP BY ALL) "
                    f"{alias} ON {alias}.id = w.id AND {alias}._kind = w._kind"
                )
                replaced.append(f"{alias}.some AS {column}")
            else:
                first = f"row_number() OVER (PARTITION BY lower(trim({column})) ORDER BY length(w.id), w.id)"
                replaced.append(f"CASE WHEN {column} IS NOT NULL AND {first} = 1 THEN {column} END AS {column}")
        if not replaced:
            return "SELECT * FROM named w"
        return f"SELECT w.* REPLACE ({', '.join(replaced)}) FROM named w {' '.join(joins)}"

    def _joined(self, kind_name: str, kind: Kind, write: Write | None) -> str:
        """References that arrive (``_was x``: what the source says), the owner's fate, and what is there already."""
        columns, replaced = ["w.*"], []
        joins = ["LEFT JOIN plan.known k ON k.id = w.id AND k.kind = w._kind"]
        columns += ["k.target AS _known", "k.as_kind AS _known_as", "k.variant AS _known_variant"]
        needed = self._needed(kind_name, kind)
        for label, spec in kind.references():
            if label not in needed:
                continue
            column, alias = name(label), name(f"a {label}")
            of = ", ".join(quoted(to) for to in spec.to)
            arrivals = f"SELECT DISTINCT id FROM plan.decided WHERE as_kind IN ({of}) AND action IN {ARRIVES}"
            for other, value in spec.among.items():
                fit = f"SELECT id FROM canonical.{name(spec.to[0])} WHERE {name(other)} = {quoted(value)}"
                arrivals += f" AND id IN ({fit})"
            columns.append(f"w.{column} AS {name('_was ' + label)}")
            if spec.type == "ref":
                joins.append(f"LEFT JOIN ({arrivals}) {alias} ON {alias}.id = w.{column}")
                replaced.append(f"{alias}.id AS {column}")
            else:
                some = (
                    f"SELECT id, _kind, unnest({column}) AS one, generate_subscripts({column}, 1) AS n FROM single "
                    f"WHERE len({column}) > 0"
                )
                joins.append(
                    f"LEFT JOIN (SELECT id, _kind, list(one ORDER BY n) AS some FROM ({some}) "
                    f"WHERE one IN ({arrivals}) GROUP BY ALL) {alias} ON {alias}.id = w.id AND {alias}._kind = w._kind"
                )
                replaced.append(f"{alias}.some AS {column}")
        if kind.owner:
            of = quoted(kind.fields[kind.owner].to[0])
            joins.append(
                f"LEFT JOIN plan.decided o ON o.id = w.{name(kind.owner)} AND o.as_kind = {of} "
                "AND o.action <> 'stand_in'"
            )
            columns += [
                f"o.{column} AS _owner_{column}" for column in ("id", "action", "reason", "variant", "unit", "lane")
            ]
        by_text = bool(self.found and kind.match and not _linked(kind))
        by_role = bool(by_text and kind.role)
        there = "COALESCE(role.id, there.id)" if by_role else "there.id"
        columns.append(f"{there} AS _there" if by_text else "CAST(NULL AS VARCHAR) AS _there")
        if by_text:
            joins.append(f"LEFT JOIN ({self._there(kind_name, kind)}) there ON there.k = w._key")
        if by_role:
            same = f"role.k = {match_key(kind, 'w', role=True)}"
            joins.append(f"LEFT JOIN ({self._there(kind_name, kind, role=True)}) role ON {same}")
        among = write.match_among if write and self.found and kind.match else ()
        if among:
            others = " UNION ALL ".join(f"{self._there(other, kind)}" for other in among)
            joins.append(
                f"LEFT JOIN (SELECT k, min(id) AS id, min(of) AS of FROM ({others}) GROUP BY k) among "
                "ON among.k = w._key"
            )
        columns += ["among.id AS _among", "among.of AS _among_as"] if among else ["NULL AS _among", "NULL AS _among_as"]
        first = f"w.* REPLACE ({', '.join(replaced)})" if replaced else "w.*"
        return f"SELECT {', '.join([first, *columns[1:]])} FROM single w {' '.join(joins)}"

    def _needed(self, kind_name: str, kind: Kind) -> set[str]:
        """The references that decide something or are written; the others may stay as the source has them."""
        first = self.manifest.write(kind_name)
        if first is None or first.skip or first.manual or first.left:
            return set()
        writes = [write for write in self.manifest.writes if write.kind == kind_name]
        verbs = [verb for variant in self.mapping.kinds.get(kind_name, ()) for verb in variant.fields.values()]
        used = {label for write in writes for label, keep in write.fields.items() if keep.write != "never"}
        used |= {keep.follows[0] for write in writes for keep in write.fields.values() if keep.follows}
        used |= {verb.preface.by for verb in verbs if verb.preface}
        return {label for label, spec in kind.references() if label != kind.owner and (spec.required or label in used)}

    def _there(self, kind_name: str, kind: Kind, *, role: bool = False) -> str:
        key = match_key(kind, "f", role=role)
        own = self.kinds.kinds[kind_name]
        return (
            f"SELECT {key} AS k, min(f.id) AS id, {quoted(kind_name)} AS of FROM {self.found}.{name(kind_name)} f "
            f"WHERE {key} IS NOT NULL AND NOT {flagged(own, 'f')} GROUP BY 1"
        )

    def writable(self, kind_name: str) -> list[tuple[Variant, Write]]:
        """Return the variants the destination can write, with what it keeps of each."""
        found = []
        for variant in self.mapping.kinds.get(kind_name, ()):
            write = self.manifest.write(kind_name, variant.name)
            if write and (write.create or write.embedded):
                found.append((variant, write))
        return found

    def _stands_alone(self, kind_name: str, kind: Kind) -> bool:
        """Tell whether records that have an owner elsewhere stand alone at the destination: the mapping names none."""
        choices = self.writable(kind_name)
        return bool(kind.owner and choices) and not any(
            write.embedded or kind.owner in variant.fields for variant, write in choices
        )

    def _variant(self, kind_name: str, kind: Kind) -> str:
        """The variant a record is written as: the first whose constants it has, or that of its owner's stream."""
        choices = self.writable(kind_name)
        tests = []
        for variant, own in choices:
            agree = [
                f"CAST(w.{name(label)} AS VARCHAR) = {quoted(word(v))}" for label, v in variant.constants().items()
            ]
            if own.embedded and kind.owner and any(not other.embedded for _, other in choices):
                agree.append(
                    "w._owner_action NOT IN ('keep', 'update', 'merge')"
                )  # what is there already takes them one by one
                agree += self._first_ones(kind_name, kind)
            if own.embedded and variant.each and kind.owner and len(choices) > 1:
                owners = self.mapping.kinds[kind.fields[kind.owner].to[0]]
                streams = ", ".join(quoted(v.name) for v in owners if v.stream == variant.stream)
                agree.append(f"w._owner_variant IN ({streams})")
            if kind.rule:
                agree.append(covers(variant, f"CAST(w.{name(kind.rule)} AS JSON)"))
            tests.append(f"WHEN {' AND '.join(agree) or 'TRUE'} THEN {quoted(variant.name)}")
        return f"COALESCE(w._known_variant, CASE {' '.join(tests)} END)" if tests else "CAST(NULL AS VARCHAR)"

    def _first_ones(self, kind_name: str, kind: Kind) -> list[str]:
        """The test for as many records as may travel inside their owner's call."""
        sequence = next((label for label, spec in kind.fields.items() if spec.sequence), None)
        most = [e.most for write in self.manifest.writes if (e := write.embeds.get(kind_name)) and e.most]
        return [f"w.{name(sequence)} <= {min(most)}"] if sequence and most else []

    # ---- judging ----------------------------------------------------------------------------------------------------

    def _judged(self, kind_name: str, kind: Kind, write: Write | None) -> str:
        cases = self._cases(kind_name, kind, write)
        when = " ".join(f"WHEN {test} THEN {{'a': {quoted(action)}, 'r': {reason}}}" for test, action, reason in cases)
        # What an ordinary plan writes says so last, so that what no plan writes keeps its own reason.
        waits = f"WHEN w._unselected = {quoted(OTHER)} THEN {{'a': 'skip', 'r': w._unselected}}"
        return f"CASE {when} {waits} ELSE {{'a': 'create', 'r': ''}} END"

    def _cases(self, kind_name: str, kind: Kind, write: Write | None) -> list[Case]:
        title, plural = self.manifest.title, kind_name.replace("_", " ")
        before = quoted("written by an earlier load")
        cases: list[Case] = [(f"w._known IS NOT NULL AND w._known_as = {quoted(kind_name)}", "keep", before)]
        if kind.stands_in:
            cases.append(("w._known IS NOT NULL", "stand_in", before))
        cases.append(("w._known IS NOT NULL", "keep", before))
        cases += self._skipped(kind_name, kind, write)
        # Who has a seat already costs nothing, and belongs to groups.
        seated = " AND w._there IS NULL AND w._among IS NULL" if write and write.match_only else ""
        last = "" if kind.stands_in else f" AND w._unselected <> {quoted(OTHER)}"
        cases.append((f"w._unselected IS NOT NULL{seated}{last}", "skip", "w._unselected"))
        if kind.owner and not self._stands_alone(kind_name, kind):
            of = kind.fields[kind.owner].to[0].replace("_", " ")
            cases.append((f"w.{name(kind.owner)} IS NULL", "skip", quoted(f"it is of no {of} by itself")))
            if self.kinds.kinds[kind.owner_kind].stands_in:
                standing = f"SELECT id FROM plan.decided WHERE kind = {quoted(kind.owner_kind)} AND action = 'stand_in'"
                seatless = quoted(f"its {of} has no seat at {title}")
                cases.append((f"w.{name(kind.owner)} IN ({standing})", "manual", seatless))
            cases.append(("w._owner_id IS NULL", "skip", quoted(f"its {of} is not among the records")))
            why = f"{quoted(f'its {of} is not written: ')} || COALESCE(w._owner_reason, '')"
            cases.append((f"w._owner_action NOT IN {ARRIVES}", "skip", why))
        if write is None:
            return [*cases, ("TRUE", "manual", quoted(f"{title} has no place for a {plural}"))]
        if kind.rule:
            cases += [(f"w._does = {quoted(does)}", does, "w._why") for does in ("manual", "skip")]
        if stays := write.skip or write.left or (None if write.match_only or write.create else write.manual):
            return [*cases, ("TRUE", "manual" if write.manual else "skip", quoted(stays))]
        for label, values in write.takes.items():
            said = f"CAST(w.{name(label)} AS VARCHAR)"
            why = f"{quoted(f'{title} takes no {plural} with the {label} ')} || COALESCE({said}, '(none)')"
            fits = f"regexp_full_match({said}, {quoted('|'.join(values))})"
            why = quoted(write.manual) if write.manual else why
            cases.append((f"NOT COALESCE({fits}, FALSE)", "manual", why))
        if write.owner_with and kind.owner:
            owner = kind.fields[kind.owner].to[0]
            fits = " AND ".join(
                f"o.{name(label)} IN ({', '.join(quoted(value) for value in values)})"
                for label, values in write.owner_with.items()
            )
            there = f"EXISTS (SELECT 1 FROM canonical.{name(owner)} o WHERE o.id = w.{name(kind.owner)} AND {fits})"
            only = "; ".join(f"{label} {' or '.join(values)}" for label, values in write.owner_with.items())
            cases.append((f"NOT {there}", "manual", quoted(f"{title} takes it only on a {owner} with {only}")))
        if kind.match:
            if own := ", ".join(quoted(one.id) for one in self.manifest.setup if one.kind == kind_name):
                earlier = quoted("migrator's own, of an earlier move: this one keeps its own there")
                cases.append((f"w._first IN ({own}) AND NOT w._own", "skip", earlier))
            adds = write.create and self.without_seat == "create"  # else the first of two alike does not arrive either
            seated = " AND (w._there IS NOT NULL OR w._among IS NOT NULL)" if write.match_only and not adds else ""
            cases.append((f"w._first IS NOT NULL AND NOT w._own{seated}", "merge", "'the same as record ' || w._first"))
            who = quoted(f"{title} has it already, as ")
            cases.append(("w._there IS NULL AND w._among IS NOT NULL", "keep", f"{who} || w._among_as"))
        if kind.same and self.found:
            differ = " OR ".join(f"f.{name(label)} IS DISTINCT FROM w.{name(label)}" for label in kind.same)
            other = f"SELECT f.id FROM {self.found}.{name(kind_name)} f, varied w WHERE f.id = w._there AND ({differ})"
            cases.append((f"w._there IN ({other})", "manual", quoted(f"{title} has another one there already")))
        if kind.match and not _linked(kind):
            match = " and ".join(kind.match).replace("_", " ")
            cases.append(("w._there IS NOT NULL", "keep", quoted(f"{title} has it already (same {match})")))
        if write.match_only and not (self.without_seat == "create" and write.create):
            if kind.stands_in and self.without_seat == "stand_in":
                unselected = f"{self._unselected(kind_name)} AND as_kind = {quoted(kind.stands_in)}"
                nobody = quoted(f"not selected: nothing needs a {kind.stands_in} in place of a seat at {title}")
                cases.append((f"w.id IN ({unselected})", "skip", nobody))
                return [*cases, ("TRUE", "stand_in", quoted(f"no seat at {title}: stands in as a {kind.stands_in}"))]
            lacks = (
                f"needs a seat at {title}" if kind.stands_in else f"{title} has none like it, and nothing here adds one"
            )
            return [*cases, ("TRUE", "manual", quoted(write.manual or lacks))]
        if write.named:
            cases.append((f"NOT {self.named_by(kind_name)}", "skip", quoted(write.named)))
        inside = self._inside(kind_name)
        if _linked(kind):
            has = quoted(f"{title} has it already")
            cases.append((f"{self._pair(kind_name, kind)} IS NOT NULL", "keep", has))
        if inside and kind.owner:
            pair = f"{inside} AND w._owner_action IN ('keep', 'update') AND {self._pair(kind_name, kind)} IS NOT NULL"
            cases.append((pair, "keep", quoted(f"{title} has it already")))
        cases += self._missing(kind, write)  # first: it holds whether or not the owner was there
        if inside and kind.owner:
            by_hand = quoted(f"its {kind.owner_kind} was there already; add it by hand")
            cases.append((f"{inside} AND w._owner_action IN ('keep', 'update', 'merge')", "manual", by_hand))
        cases.append(("w._variant IS NULL", "manual", quoted(f"{title} takes no such {plural}")))
        return [*cases, *self._ended(kind_name, kind)]

    def _ended(self, kind_name: str, kind: Kind) -> list[Case]:
        """What names a record that another of this kind puts an end to: of several that do, the first by id counts."""
        cases: list[Case] = []
        for variant, write in self.writable(kind_name):
            if not write.ends:
                continue
            tests = [
                f"CAST(e.{name(label)} AS VARCHAR) = {quoted(word(v))}" for label, v in variant.constants().items()
            ]
            ended = kind.fields[write.ends].to
            named = ", ".join(f"w.{name(label)}" for label, spec in kind.references() if set(spec.to) & set(ended))
            tests += [f"e.{name(write.ends)} IN ({named})", "e.id <> w.id"]
            tests.append(f"(e.id < w.id OR w._variant IS DISTINCT FROM {quoted(variant.name)})")
            there = f"EXISTS (SELECT 1 FROM canonical.{name(kind_name)} e WHERE {' AND '.join(tests)})"
            what = " ".join(str(value) for value in variant.constants().values()).replace("_", " ")
            why = f"it names a {ended[0]} that is {what} another: {self.manifest.title} lets it have nothing else"
            cases.append((there, "manual", quoted(why)))
        return cases

    def _inside(self, kind_name: str) -> str:
        """The test for records that travel inside their owner's call; empty where the kind has none."""
        names = [quoted(variant.name) for variant, write in self.writable(kind_name) if write.embedded]
        return f"w._variant IN ({', '.join(names)})" if names else ""

    @staticmethod
    def _unselected(kind_name: str) -> str:
        return f"SELECT id FROM plan.unselected WHERE kind = {quoted(kind_name)}"

    def _missing(self, kind: Kind, write: Write) -> list[Case]:
        """What a record cannot be written without."""
        cases: list[Case] = []
        for label, spec in kind.fields.items():
            keep = write.fields.get(label)
            if not spec.required or label == kind.owner or (keep and keep.default is not None):
                continue
            if keep and keep.matches:
                unfit = f"w.{name(label)} IS NOT NULL AND {limited(f'w.{name(label)}', keep)} IS NULL"
                cases.append((unfit, "manual", quoted(keep.because or f"its {label} is none the destination takes")))
            none = quoted(f"no {label}, which it needs")
            if spec.to:
                was = f"w.{name('_was ' + label)}"
                gone = quoted(f"its {label} is not written")
                left = " OR ".join(f"{was} IN ({self._unselected(to)})" for to in spec.to)
                cases.append((f"w.{name(label)} IS NULL AND ({left})", "skip", quoted(f"its {label} is not selected")))
                cases.append(
                    (f"w.{name(label)} IS NULL", "manual", f"CASE WHEN {was} IS NULL THEN {none} ELSE {gone} END")
                )
            else:
                cases.append((f"w.{name(label)} IS NULL", "manual", none))
        blob = next((label for label, spec in kind.fields.items() if spec.type == "blob"), None)
        if blob:
            why = "'its bytes were not fetched'"
            if "raw" in self.stage.tables_of("blobs"):
                answer = "(SELECT max(problem) FROM blobs.raw b WHERE b.id = w.id)"
                why = f"'its bytes could not be read' || COALESCE(': ' || {answer}, '')"
            some = " AND w.url IS NOT NULL" if kind.fields[blob].versioned else ""  # not every such record has bytes
            cases.append((f"w.{name(blob)} IS NULL{some}", "manual", why))
        return cases

    def _pair(self, kind_name: str, kind: Kind) -> str:
        """The destination's record that links the same owner and references, for records that live in a list."""
        if not self.found or not kind.owner:
            return "CAST(NULL AS VARCHAR)"
        links = []
        for label, spec in kind.references():
            of = ", ".join(quoted(to) for to in spec.to)
            there = (
                f"SELECT min(target) FROM plan.decided t WHERE t.id = w.{name(label)} AND t.as_kind IN ({of}) "
                "AND t.action = 'keep'"
            )
            links.append(f"f.{name(label)} = ({there})")
        return f"(SELECT min(f.id) FROM {self.found}.{name(kind_name)} f WHERE {' AND '.join(links)})"

    def _referenced(self, kind_name: str) -> str:
        uses = []
        for other_name, other in self.kinds.kinds.items():
            for label, spec in other.references():
                if kind_name in spec.to:
                    value = f"unnest({name(label)})" if spec.type == "refs" else name(label)
                    uses.append(f"SELECT {value} AS id FROM canonical.{name(other_name)}")
        return f"(w.id IN (SELECT id FROM ({' UNION ALL '.join(uses)}) WHERE id IS NOT NULL))" if uses else "FALSE"

    def named_by(self, kind_name: str, *, decided: bool = False) -> str:
        """The test for records that a record which is written names: not one that is deleted, or left out; nor, once
        all is ``decided``, one that stays behind for another reason.
        """
        uses = []
        arrives = "SELECT id FROM plan.decided WHERE kind = {} AND action IN ('create', 'update', 'keep')"
        for other_name, other in self.kinds.kinds.items():
            written = {
                label
                for _, write in self.writable(other_name)
                for label, keep in write.fields.items()
                if keep.write != "never" and (not keep.kinds or kind_name in keep.kinds)
            }
            for label, spec in other.references():
                if kind_name in spec.to and label in written:
                    value = f"unnest({name(label)})" if spec.type == "refs" else name(label)
                    uses.append(
                        f"SELECT {value} AS id FROM canonical.{name(other_name)} o WHERE NOT {flagged(other, 'o')} AND "
                        f"o.id NOT IN (SELECT id FROM plan.unselected WHERE kind = {quoted(other_name)})"
                        + (f" AND o.id IN ({arrives.format(quoted(other_name))})" if decided else "")
                    )
        return f"(w.id IN (SELECT id FROM ({' UNION ALL '.join(uses)}) WHERE id IS NOT NULL))" if uses else "FALSE"

    def _target(self, kind: Kind, write: Write | None) -> str:
        there = "COALESCE(w._known, w._there, w._among)"
        if (write and write.embedded and kind.owner) or _linked(kind):
            kind_name = next(k for k, v in self.kinds.kinds.items() if v is kind)
            there = f"COALESCE(w._known, {self._pair(kind_name, kind)})"
        return f"CASE w._d.a WHEN 'keep' THEN {there} WHEN 'merge' THEN w._first END"

    def _as_kind(self, kind_name: str, kind: Kind, write: Write | None) -> str:
        own = quoted(kind_name)
        stands = f"WHEN w._d.a = 'stand_in' THEN {quoted(kind.stands_in)} " if kind.stands_in else ""
        among = (
            "WHEN w._d.a = 'keep' AND w._known IS NULL AND w._there IS NULL AND w._among IS NOT NULL THEN w._among_as "
        )
        known = "WHEN w._known IS NOT NULL THEN w._known_as "
        return f"CASE {known}{stands}{among if write and write.match_among and self.found else ''}ELSE {own} END"

    def _insert(self, kind_name: str, kind: Kind, work: str) -> None:
        sequence = next((label for label, spec in kind.fields.items() if spec.sequence), None)
        blob = next((label for label, spec in kind.fields.items() if spec.type == "blob"), None)
        own_unit = f"{quoted(kind_name + ':')} || w.id"
        inside = self._inside(kind_name) or "FALSE"
        owner = None if self._stands_alone(kind_name, kind) else kind.owner
        unit = f"CASE WHEN {inside} THEN w._owner_unit ELSE {own_unit} END" if owner else own_unit
        lane = "w._owner_lane" if owner else quoted(f"{kind_name}:") if sequence or kind.owner else own_unit
        rank = self.kinds.in_order().index(kind_name) * 10**9
        place = f"CAST({rank} AS BIGINT) + {f'COALESCE(w.{name(sequence)}, 0)' if sequence else '0'}"
        self.stage.run(
            "INSERT INTO plan.decided SELECT w._kind, w.id, w._as_kind, w._variant, w._action, w._reason, w._target, "
            f"{unit}, {lane}, {place}, w._own, {f'w.{name(owner)}' if owner else 'NULL'}, "
            f"{f'w.{name(blob)}' if blob else 'NULL'}, w._known IS NOT NULL AND w._action <> 'stand_in', NULL "
            f"FROM {work} w"
        )
        if kind.match:
            # Who is merged into somebody without a seat, or with one, stands where that one stands.
            self.stage.run(
                "UPDATE plan.decided SET as_kind = t.as_kind FROM plan.decided t WHERE decided.kind = ? AND "
                "decided.action = 'merge' AND t.kind = decided.kind AND t.id = decided.target",
                kind_name,
            )

    def _insert_gone(self, kind_name: str, work: str) -> None:
        """Add what earlier loads wrote and the source no longer has."""
        rank = self.kinds.in_order().index(kind_name) * 10**9
        self.stage.run(
            "INSERT INTO plan.decided SELECT k.kind, k.id, k.as_kind, k.variant, 'keep', 'gone from the source since', "
            f"k.target, k.as_kind || ':' || k.id, k.as_kind || ':' || k.id, {rank}, TRUE, NULL, NULL, TRUE, NULL "
            f"FROM plan.known k WHERE k.as_kind = ? AND NOT EXISTS (SELECT 1 FROM {work} w WHERE w.id = k.id "
            "AND w._kind = k.kind)",
            kind_name,
        )

    def _limit_bytes(self, kind_name: str, write: Write | None, work: str) -> None:
        """Put what goes beyond a limit of bytes aside: in order, whatever still fits goes."""
        if not write or not write.max_total:
            return
        most, per = write.max_total.bytes, write.max_total.per
        lines = (
            "SELECT d.lane, d.id, c.size, d.place FROM plan.decided d "
            f"JOIN canonical.{name(kind_name)} c ON c.id = d.id "
            f"WHERE d.kind = {quoted(kind_name)} AND d.action = 'create' AND starts_with(d.lane, {quoted(per + ':')})"
        )
        heavy = self.stage.rows(
            f"SELECT lane, id, size FROM ({lines}) "
            f"WHERE lane IN (SELECT lane FROM ({lines}) GROUP BY lane HAVING sum(size) > ?) "
            "ORDER BY lane, place, length(id), id",
            most,
        )
        used: dict[str, int] = {}
        why = f"larger than {self.manifest.title} takes: {most // 1048576} MB for all files of a {per}"
        for lane, id, size in heavy:
            if used.get(lane, 0) + (size or 0) <= most:
                used[lane] = used.get(lane, 0) + (size or 0)
                continue
            self.stage.run(
                "UPDATE plan.decided SET action = 'manual', reason = ? WHERE kind = ? AND id = ?", why, kind_name, id
            )
            self.stage.run(f"UPDATE {work} SET _action = 'manual', _reason = ? WHERE id = ?", why, id)


def _linked(kind: Kind) -> bool:
    """Tell whether a kind's records are the same where they link the same others."""
    return bool(kind.match) and all(kind.fields[label].to for label in kind.match)


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, Iterable) and not isinstance(value, str):
        return "[" + ", ".join(quoted(str(one)) for one in value) + "]"
    return quoted(str(value)) if isinstance(value, str) else str(value)
