"""Rules in the destination's words: translated before anything else is decided about them, and the names in them found.

``plan.translated`` has a line for each record that will be written: a rule may become several there. ``plan.finding``
has the verdicts that are not "exact", which the losses and the report are made of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from migrator.compile import name
from migrator.kinds import Kind, Kinds
from migrator.manifest import Manifest, Setup
from migrator.mapping import Mapping as VendorMapping
from migrator.mapping import Spoken
from migrator.rules.dialect import Dialect, dialects, find
from migrator.rules.records import Labels, Write, labelled, parsed, translate
from migrator.rules.references import OWN, REFERS, marks, named
from migrator.rules.rule import Hook, Rule, Unread
from migrator.rules.verdicts import Finding, Need, Translation
from migrator.rules.words import action_words
from migrator.stage import Stage

TRANSLATED = "kind VARCHAR, id VARCHAR, part BIGINT, native VARCHAR, label VARCHAR, does VARCHAR, why VARCHAR"
FINDING = (
    "kind VARCHAR, id VARCHAR, verdict VARCHAR, place VARCHAR, what VARCHAR, note VARCHAR, click VARCHAR, waits BOOLEAN"
)
FEW = 3  # reasons that are named
NAMED = re.compile(r"<\w+:(⟪[^⟪⟫]*⟫)>")  # decision 0024: a writer may put what is an id there into <kind:…>
OPEN = re.compile(r"\"<(\w+):([^<>\"]*)>\"")  # the same without a mark: a record nobody makes
# What rules name by a key of its own, to the SQL of that key.
KEYED = {"custom_field": "applies_to || ':' || key", "dynamic_content": "key"}
THEMSELVES = re.compile(rf"(⟪\w+:){OWN}(\d+)⟫")
ADDED = re.compile(r"\"<status:([^<>\"]*)>\"")
Native = dict[str, Any]


def spoken(mapping: VendorMapping, kind_name: str) -> Spoken | None:
    """Return the dialect in which a kind's rules stand at the vendor."""
    verbs = [verb for variant in mapping.kinds.get(kind_name, ()) for verb in variant.fields.values()]
    return next((verb.rule for verb in verbs if verb.rule), None)


def option_labels(stage: Stage) -> Labels:
    """Return what the options of custom fields are called."""
    if "custom_field" not in stage.tables_of("canonical"):
        return {}
    rows = stage.rows(
        "SELECT applies_to || ':' || key, option_keys, options FROM canonical.custom_field "
        "WHERE len(option_keys) = len(options) AND key IS NOT NULL"
    )
    return {field: dict(zip(keys, called, strict=True)) for field, keys, called in rows}


def option_keys(stage: Stage, labels: Labels) -> Labels:
    """Return by what the destination will know the options of custom fields, in the place of what rules say of them:
    a label or, where ``labels`` has none of the field, the source's key."""
    if "fields" not in stage.tables_of("predicted"):
        return {}
    rows = stage.rows(
        "SELECT c.applies_to || ':' || c.key, c.options, c.option_keys, p.options, p.option_keys "
        "FROM canonical.custom_field c JOIN predicted.fields p ON p.id = c.id WHERE len(c.options) > 0 "
        "AND c.key IS NOT NULL AND len(p.option_keys) = len(p.options)"
    )
    found: dict[str, dict[str, str]] = {}
    for known_as, called, keys, there, theirs in rows:
        said = called if known_as in labels or not keys or len(keys) != len(called) else keys
        known = dict(zip(there, theirs, strict=True))
        differ = {one: known[label] for one, label in zip(said, called, strict=True) if known.get(label, one) != one}
        if differ:
            found[known_as] = differ
    return found


def begin(stage: Stage) -> None:
    """Make the tables."""
    stage.run(f"CREATE TABLE plan.translated ({TRANSLATED})")
    stage.run(f"CREATE TABLE plan.finding ({FINDING})")


@dataclass(frozen=True)
class Made:
    """A rule's translation: ``natives`` in the words that tickets have at the destination, or why not (``lost``).

    ``needs``: what it needs there, each with its native in the same words.
    """

    id: str
    translation: Translation
    natives: list[str]
    lost: str
    needs: tuple[Need, ...]


@dataclass
class Translator:
    """Translates the rules of one plan, each once."""

    stage: Stage
    kinds: Kinds
    manifest: Manifest
    mapping: VendorMapping
    _arriving: dict[str, set[str]] = field(default_factory=dict)
    _becomes: dict[str, dict[str | None, Any]] = field(default_factory=dict)
    _made: dict[str, list[Made]] = field(default_factory=dict)

    def translate(self, kind_name: str, kind: Kind) -> None:
        """Put the rules of a kind into the destination's words."""
        vendor, label = self._dialect(kind_name, kind), kind.rule
        if vendor is None or label is None:
            return
        self._arriving = {}
        to = find(vendor)
        lines: list[list[Any]] = []
        found: list[list[Any]] = []
        alone: set[str] = set()
        for one in self._translations(kind_name, kind, vendor):
            made = one.translation
            if self._written(kind_name):
                does, why = self._carried(kind_name, made.rule, vendor) or self._judged(
                    one, exact=kind.fields[label].exact
                )
                if not does and made.rule.kind == "form" and not made.rule.part and getattr(to, "ONE_FORM", False):
                    does, why = self._alone(one, alone)
            else:
                does, why = self._as_text(kind_name, one)
            parts = one.natives if not does and self._written(kind_name) else [None]
            ordered = str(getattr(to, "NAMES_ORDER", ""))
            called = [json.loads(native).get(ordered) if native and ordered else None for native in parts]
            lines += [[kind_name, one.id, part, native, called[part], does, why] for part, native in enumerate(parts)]
            found += [
                [kind_name, one.id, each.verdict, each.place, each.what, each.note, each.click, made.waits]
                for each in made.findings
                if each.verdict != "exact"
            ]
        self._name(lines, (6,))
        self._name(found, (4, 5))
        self.stage.insert("plan.translated", lines)
        self.stage.insert("plan.finding", found)
        self._made.pop(kind_name, None)

    def _name(self, lines: list[list[Any]], columns: Sequence[int]) -> None:
        """Put what records are called in the place of their marks, in what a person reads."""
        said = names(self.stage, {mark for line in lines for at in columns for mark in marks(str(line[at] or ""))})
        for line in lines:
            for at in columns:
                line[at] = named(line[at], said) if line[at] else line[at]

    def _written(self, kind_name: str) -> bool:
        """Say whether rules of a kind are written as such."""
        write = self.manifest.write(kind_name)
        return write is not None and write.create is not None

    def _dialect(self, kind_name: str, kind: Kind) -> str | None:
        """Return whose dialect the kind's rules, or their texts, are put into; None where they are left as they are."""
        way = spoken(self.mapping, kind_name)
        vendor = way.dialect if way else self.manifest.vendor
        if kind.rule is None or self.manifest.write(kind_name) is None or vendor not in dialects():
            return None
        texts: Mapping[str, str] = getattr(find(vendor), "TEXTS_AS", {})
        return vendor if (way and self._written(kind_name)) or kind_name in texts else None

    def _translations(self, kind_name: str, kind: Kind, vendor: str) -> list[Made]:
        """Return the kind's rules in the destination's words."""
        if kind_name not in self._made:
            to = find(vendor)
            writer, numbers = added_statuses(to, self.mapping)
            done = []
            for id, rule, there in self._rules(kind_name, kind, to):
                made = translate(to, vendor, rule, writer)
                written = made.native if there is rule else translate(to, vendor, there, writer).native
                natives, lost = self._settled(to, made, written, numbers)
                needs = []
                for need in made.needs:
                    held = self._settled(to, made, [need.native], numbers)[0][0] if need.native else None
                    needs.append(replace(need, native=json.loads(_themselves(held, id)) if held else None))
                done.append(Made(id, made, natives, lost, tuple(needs)))
            self._made[kind_name] = done
        return self._made[kind_name]

    def _carried(self, kind_name: str, rule: Rule, vendor: str) -> tuple[str, str] | None:
        """Leave a rule that arrives as a record of another kind, in its vendor's own words (decision 0026)."""
        own = getattr(find(vendor), "CARRIED_AS", {}).get(kind_name)
        if rule.vendor != vendor or own is None:
            return None
        return "skip", f"it arrives as a {own.replace('_', ' ')}, in the vendor's own words"

    def _as_text(self, kind_name: str, one: Made) -> tuple[str, str]:
        """Return what is done with a rule of which the text arrives as a record, and why; empty where it has none."""
        made = one.translation
        to: Any = find(made.vendor)
        if made.obsolete:
            return "skip", f"dead at the source already: it {made.obsolete}"
        if made.rule.vendor == made.vendor or not one.needs:
            return "", ""
        if said := next((said for need in one.needs if isinstance(said := to.provided(need), str)), ""):
            return "manual", said
        held = to.TEXTS_AS[kind_name].replace("_", " ")
        arrives = f"its text arrives as {'an' if held[0] in 'aeiou' else 'a'} {held}"
        lost = _reasons(made.findings, "untranslatable")
        return ("manual", f"{arrives}; what it does besides is done by hand: {lost}") if lost else ("skip", arrives)

    def _rules(self, kind_name: str, kind: Kind, to: Dialect) -> list[tuple[str, Rule, Rule]]:
        """Return the kind's rules, each with its id, as tickets have the choices of fields and, the same one again
        where nothing differs, as the destination will know them; with its place where it runs rules by their names."""
        label, title = name(kind.rule or ""), self._title(kind)
        sequence = next((name(label) for label, spec in kind.fields.items() if spec.sequence), "NULL")
        rank = f"row_number() OVER (ORDER BY {sequence} NULLS LAST, length(id), id)"
        rows = self.stage.rows(
            f"SELECT id, {title}, {label}, {rank} FROM canonical.{name(kind_name)} WHERE {label} IS NOT NULL ORDER BY 4"
        )
        places = bool(getattr(to, "NAMES_ORDER", False)) and sequence != "NULL"
        spoken_by = {"" if text is None else json.loads(text).get("vendor") for _, _, text, _ in rows[:1]}
        labels = {} if self.manifest.vendor in spoken_by else option_labels(self.stage)
        keys = option_keys(self.stage, labels)

        def read(text: str, called: str | None, place: int) -> Rule:
            rule = parsed(text, name=called or "", position=place if places else None)
            return self._typed(self._without_webhooks(rule))

        found = []
        for id, called, text, place in rows:
            said = labelled(text, labels)
            rule, there = read(said, called, place), labelled(said, keys)
            found.append((id, rule, rule if there == said else read(there, called, place)))
        return found

    def _title(self, kind: Kind) -> str:
        """Return the SQL of a rule's name; the conditions of a form that have none are called like the form."""
        title, owner = name(kind.label or "id"), kind.owner
        of = kind.fields[owner].to[0] if owner else ""
        called = self.kinds.kinds[of].label if of in self.stage.tables_of("canonical") else None
        if not called or not owner or not kind.label:
            return title
        sql = f"SELECT o.{name(called)} FROM canonical.{name(of)} o WHERE o.id = {name(owner)}"
        return f"COALESCE({title}, ({sql}))"

    def _settled(
        self, to: Dialect, made: Translation, natives: Sequence[Native], numbers: Mapping[str, str]
    ) -> tuple[list[str], str]:
        """Return what would be written, in the words that tickets have there, and why it cannot be said in them."""
        settle = getattr(to, "settled", None)
        lost, texts = "", []
        for native in natives:
            if settle is not None and made.rule.vendor != made.vendor:
                native, why = settle(native, self._words())
                lost = lost or why
            text = NAMED.sub(r"\1", json.dumps(native, ensure_ascii=False))
            texts.append(ADDED.sub(lambda found: numbers.get(found[1], found[0]), text))
        return texts, lost

    def _words(self) -> dict[str, dict[str | None, Any]]:
        """Return what the words of tickets become at the destination: {field: {ours, None for none: theirs}}."""
        if not self._becomes:
            write = self.manifest.write("ticket")
            for label, verb in (self.mapping.kinds["ticket"][0].fields if write else {}).items():
                if verb.values is not None:
                    default = write.fields[label].default if write and label in write.fields else None
                    table: dict[str | None, Any] = {None: default}
                    self._becomes[label] = table | verb.back()  # type: ignore[operator]
        return self._becomes

    def needed(self) -> tuple[Setup, ...]:
        """Return the records that rules need at the destination and that can be made there: fields, rules that fill
        them, texts."""
        found: dict[str, Setup] = {}
        for kind_name, kind in self.kinds.kinds.items():
            vendor, label = self._dialect(kind_name, kind), kind.rule
            provide = getattr(find(vendor), "provided", None) if vendor else None
            if provide is None or label is None or vendor is None:
                continue
            for made in self._translations(kind_name, kind, vendor):
                if self._written(kind_name):
                    lost = bool(self._hopeless(made, exact=kind.fields[label].exact)[0])
                else:
                    lost = self._as_text(kind_name, made)[1].startswith("dead")
                for need in () if lost else made.needs:
                    one = provide(need)
                    if not isinstance(one, str) and one[0] in self.kinds.kinds:
                        ordered = {"position": len(found) + 1} if self.kinds.kinds[one[0]].rule else {}
                        _told_apart(found, Setup(kind=one[0], id=one[1], fields={**ordered, **one[2]}))
        return (*found.values(), *self._brought())

    def unmade(self, kind_name: str, setup: Sequence[Setup]) -> dict[str, str]:
        """Return the rules that others need and that name what is not written, with that as the reason."""
        label = self.kinds.kinds[kind_name].rule
        ours = [own for own in setup if own.kind == kind_name and label]
        found = {own.id: self._missing(str(own.fields.get(str(label)) or "")) for own in ours}
        return {id: f"it names what is not written: {', '.join(some[:FEW])}" for id, some in found.items() if some}

    def _missing(self, native: str) -> list[str]:
        return [f"{kind.replace('_', ' ')} {id}" for kind, id in marks(native) if not self._arrives(kind, id)]

    def _brought(self) -> Iterator[Setup]:
        """Yield the statuses that the overlay moves tickets into and the destination does not have."""
        write, way = self.manifest.write("status"), spoken(self.mapping, "trigger")
        to = find(way.dialect) if way else None
        everybodys = getattr(to, "EVERYBODYS", None)
        if everybodys is None or write is None or write.create is None:
            return
        verbs = [one.fields["status"] for one in self.mapping.kinds["ticket"] if "status" in one.fields]
        ours: dict[int, str] = {}
        for word_, code in verbs[0].back().items():
            if isinstance(code, int) and str(code) not in everybodys:
                ours.setdefault(code, word_)
        there = "SELECT id FROM found.status WHERE id NOT IN (SELECT target FROM plan.known WHERE kind = 'status')"
        held = {row[0] for row in self.stage.rows(there)} if "status" in self.stage.tables_of("found") else set()
        for code, word_ in sorted(ours.items()):
            if str(code) not in held:
                named = getattr(to, "ADDED_STATUSES", {}).get(word_, (word_.replace("_", " ").capitalize(), ""))[0]
                fields: dict[str, Any] = {"name": named, "category": word_, "code": code}
                yield Setup(kind="status", id=f"needed:status:{code}", fields=fields)

    def _hopeless(self, one: Made, *, exact: bool) -> tuple[str, str]:
        """Return what is done with a rule that is not written whatever else arrives, and why."""
        made, title = one.translation, self.manifest.title
        if made.obsolete:
            return "skip", f"dead at the source already: it {made.obsolete}"
        if any(isinstance(action, Unread) for action in made.rule.do):
            unread = next(action for action in made.rule.do if isinstance(action, Unread))
            return "manual", f"an action that only a person can carry over: {action_words(unread)[:200]}"
        if made.verdict in ("untranslatable", "unreadable"):
            return "manual", f"{title} cannot say it: {_reasons(made.findings, made.verdict)}"
        if exact and made.waits:
            why = _reasons([one for one in made.findings if one.place.startswith("when")], "approximated")
            return "manual", f"a person decides: when it acts is only nearly the same, and it cannot be undone ({why})"
        if one.lost:
            return "manual", one.lost
        provide: Callable[[Need], Any] = getattr(find(made.vendor), "provided", lambda need: "")
        for need in one.needs:
            if isinstance(said := provide(need), str) and said:
                return "manual", f"it needs the {need.kind} {need.name} there: {said}"
        return "", ""

    def _judged(self, one: Made, *, exact: bool) -> tuple[str, str]:
        """Return what else is done with a rule that is not written, and why; empty where it is."""
        does, why = self._hopeless(one, exact=exact)
        if does:
            return does, why
        made, natives = one.translation, one.natives
        if not natives:
            built = [
                each.note
                for each in made.findings
                if each.place == "rule" and each.what == made.rule.name and each.note
            ]
            return "skip", "; ".join(built) or "it never acts, or has nothing that could be written"
        whole = "".join(natives)
        known = getattr(find(made.vendor), "LOOKED_UP", ())
        missing = self._missing(whole)
        there = added_codes(self.mapping) if OPEN.search(whole) else set()
        open_ = [(kind, id) for kind, id in dict.fromkeys(OPEN.findall(whole)) if kind not in known]
        open_ = [(kind, id) for kind, id in open_ if kind != "status" or id not in there]
        missing += [f"{kind.replace('_', ' ')} {id}" for kind, id in open_]
        trees = [id for kind, id in marks(whole) if kind == "custom_field" and id in self._trees()]
        if trees and made.rule.kind != "form":
            return (
                "manual",
                f"it asks for one level of the dependent field {trees[0]}, which is one field of whole paths",
            )
        if missing:
            more = f" and {len(missing) - FEW} more" if len(missing) > FEW else ""
            return "manual", f"it names what is not written: {', '.join(missing[:FEW])}{more}"
        return "", ""

    def _alone(self, one: Made, named: set[str]) -> tuple[str, str]:
        """Leave the conditions of a form to a person where another's say something of the same field already."""
        fields = {id for kind, id in marks("".join(one.natives)) if kind == "custom_field"}
        if fields & named:
            return "manual", f"another form has conditions on the same fields, and {self.manifest.title} has one form"
        named |= fields
        return "", ""

    def _trees(self) -> set[str]:
        """Return the dependent fields, as rules name them."""
        if "custom_field" not in self.stage.tables_of("canonical"):
            return set()
        sql = "SELECT applies_to || ':' || key FROM canonical.custom_field WHERE levels > 1"
        return {row[0] for row in self.stage.rows(sql)}

    def _without_webhooks(self, rule: Rule) -> Rule:
        """Return the rule with the address of a webhook in it, where the destination keeps no webhooks of their own."""
        write = self.manifest.write("webhook") if "webhook" in self.kinds.kinds else None
        if (write and write.create) or not any(isinstance(action, Hook) for action in rule.do):
            return rule
        done = []
        for action in rule.do:
            if isinstance(action, Hook) and (found := marks(action.target)):
                row = self.stage.rows("SELECT endpoint, method FROM canonical.webhook WHERE id = ?", found[0][1])
                if row and row[0][0]:
                    action = action.model_copy(update={"target": row[0][0], "method": row[0][1] or action.method})
            done.append(action)
        return rule.model_copy(update={"do": tuple(done)})

    def _typed(self, rule: Rule) -> Rule:
        """Return the rule with the types of the fields on which others depend."""
        if not rule.shown or "custom_field" not in self.stage.tables_of("canonical"):
            return rule
        shape = "CASE WHEN levels > 1 THEN 'tree' ELSE type END"
        types = dict(self.stage.rows(f"SELECT applies_to || ':' || key, {shape} FROM canonical.custom_field"))
        named = [(one, dict(marks(one.parent.custom)).get("custom_field", "")) for one in rule.shown]
        typed = [one.model_copy(update={"parent_type": types.get(field) or ""}) for one, field in named]
        return rule.model_copy(update={"shown": tuple(typed)})

    def _arrives(self, kind: str, id: str) -> bool:
        """Say whether a record that a rule names will be at the destination."""
        if kind in KEYED:
            return field_ids(self.stage).get(known_by(kind, id), "") in self._at_home(kind)
        return any(id in self._at_home(to, seat=kind == to) for to in REFERS.get(kind, ()))

    def _at_home(self, kind: str, *, seat: bool = False) -> set[str]:
        key = f"{kind} {seat}"
        if key not in self._arriving:
            strict = " AND as_kind = kind" if seat else ""
            there = "('create', 'keep', 'update', 'merge', 'stand_in')"
            sql = f"SELECT id FROM plan.decided WHERE kind = ? AND action IN {there}{strict}"
            self._arriving[key] = {row[0] for row in self.stage.rows(sql, kind)}
        return self._arriving[key]


def added_statuses(to: Dialect, mapping: VendorMapping) -> tuple[Write | None, dict[str, str]]:
    """Return how rules are written for the statuses that the overlay brings, and their codes there by their names.

    A status that a writer wishes for is brought where the overlay moves tickets into a code of its own; without it
    rules are written over what tickets become, like the tickets.
    """
    wished: Mapping[str, tuple[str, str]] = getattr(to, "ADDED_STATUSES", {})
    if not hasattr(to, "write_with"):
        return None, {}
    codes = _statuses(mapping)
    there = {
        ours: codes[ours] for ours, (_, without) in wished.items() if codes.get(ours) not in (None, codes.get(without))
    }
    write: Write = to.write_with(frozenset(there))
    return write, {wished[ours][0]: json.dumps(code) for ours, code in there.items()}


def added_codes(mapping: VendorMapping) -> set[str]:
    """Return every code of a status into which tickets are moved, by the mapping and the overlay."""
    return set(map(str, _statuses(mapping).values()))


def _statuses(mapping: VendorMapping) -> dict[str, Any]:
    """Return what our statuses become for tickets at the destination."""
    verbs = [one.fields["status"] for one in mapping.kinds.get("ticket", ()) if "status" in one.fields]
    return dict(verbs[0].back()) if verbs and verbs[0].values is not None else {}


def _themselves(native: str, id: str) -> str:
    """Return what a rule needs with the ids of the records that the rule becomes: the first has the rule's own."""
    return THEMSELVES.sub(lambda found: f"{found[1]}{id}{'' if found[2] == '1' else f'~{found[2]}'}⟫", native)


def _told_apart(found: dict[str, Setup], one: Setup) -> None:
    """Add a record to those that are needed; a text that is called like another is numbered and lost to nobody."""
    number, named = 2, one
    while named.id in found and found[named.id].fields != named.fields and one.kind not in ("trigger", "custom_field"):
        fields = {k: f"{v} ({number})" if k in ("name", "title") else v for k, v in one.fields.items()}
        named, number = one.model_copy(update={"id": f"{one.id} ({number})", "fields": fields}), number + 1
    found.setdefault(named.id, named)


def _reasons(findings: Sequence[Finding], verdict: str) -> str:
    said = [f"{one.what[:120]}: {one.note}".removesuffix(": ") for one in findings if one.verdict == verdict]
    some = list(dict.fromkeys(said))
    return "; ".join(some[:FEW]) + (f" and {len(some) - FEW} more" if len(some) > FEW else "")


def names(stage: Stage, named_in: Iterable[tuple[str, str]]) -> Callable[[str, str], str]:
    """Return what tells how a record that a rule names as (kind, id) is called."""
    called: dict[tuple[str, str], str] = {}
    held = stage.tables_of("canonical")
    for of, id in named_in:
        label = "title" if of == "custom_field" else "name"
        for kind in (kind for kind in REFERS.get(of, ()) if kind in held):
            sql = f"SELECT {label} FROM canonical.{name(kind)} WHERE {KEYED.get(of, 'id')} = ? ORDER BY id LIMIT 1"
            if found := stage.one(sql, id):
                called[of, id] = f"“{found}”"
                break
    return lambda kind, id: called.get((kind, id), f"{kind.replace('_', ' ')} {id}")


def field_id(stage: Stage, id: str, fields: str = "canonical.custom_field") -> str | None:
    """Return the record of the custom field that a rule names as ``ticket:<name>``."""
    of, _, key = id.partition(":")
    found: str | None = stage.one(f"SELECT min(id) FROM {fields} WHERE applies_to = ? AND key = ?", of, key)
    return found


def field_ids(stage: Stage) -> dict[str, str]:
    """Return what rules name custom fields and dynamic content by (``known_by``), to their records."""
    held = stage.tables_of("canonical")
    found: dict[str, str] = {}
    for kind, key in KEYED.items():
        if kind in held:
            sql = f"SELECT {key}, min(id) FROM canonical.{name(kind)} WHERE key IS NOT NULL GROUP BY 1"
            found |= {known_by(kind, key): id for key, id in stage.rows(sql)}
    return found


def known_by(kind: str, id: str) -> str:
    """Return a name by which a rule names a record, apart from those of other kinds."""
    return id if kind == "custom_field" else f"{kind}:{id}"


def there(kind: str, id: str, fields: Mapping[str, str], known: Callable[[str, str], Any]) -> str | None:
    """Return a record's name at the destination; ``known(kind, id)`` is its identity, None where it was not written."""
    if kind in KEYED:
        one = known(kind, fields.get(known_by(kind, id), ""))
        return (one.key or str(one.destination)) if one else None
    for to in REFERS.get(kind, ()):
        one = known(to, id)
        if one and (kind != to or one.as_kind in ("", to)):
            return str(one.destination)
    return None
