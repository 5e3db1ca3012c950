"""Rules in the destination's words: translated before anything else is decided about them, and the names in them found.

``plan.translated`` has a line for each record that will be written: a rule may become several there. ``plan.finding``
has the verdicts that are not "exact", which the losses and the report are made of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from migrator.compile import name
from migrator.kinds import Kind, Kinds
from migrator.manifest import Manifest, Setup
from migrator.mapping import Mapping as VendorMapping
from migrator.mapping import Spoken
from migrator.rules.dialect import Dialect, find
from migrator.rules.records import parsed, translated
from migrator.rules.references import REFERS, bare, marks, named
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
ADDED = re.compile(r"\"<status:([^<>\"]*)>\"")
Write = Callable[[Rule], Translation]
Native = dict[str, Any]
Labels = Mapping[str, Mapping[str, str]]  # field as rules name it to {option's key: what it is called}
Named = Callable[[str, str], str | None]  # (kind a rule names, id) to its name at the destination


def spoken(mapping: VendorMapping, kind_name: str) -> Spoken | None:
    """Return the dialect in which a kind's rules stand at the vendor."""
    verbs = [verb for variant in mapping.kinds.get(kind_name, ()) for verb in variant.fields.values()]
    return next((verb.rule for verb in verbs if verb.rule), None)


def begin(stage: Stage) -> None:
    """Make the tables."""
    stage.run(f"CREATE TABLE plan.translated ({TRANSLATED})")
    stage.run(f"CREATE TABLE plan.finding ({FINDING})")


@dataclass
class Translator:
    """Translates the rules of one plan."""

    stage: Stage
    kinds: Kinds
    manifest: Manifest
    mapping: VendorMapping
    _arriving: dict[str, set[str]] = field(default_factory=dict)
    _becomes: dict[str, dict[str | None, Any]] = field(default_factory=dict)

    def translate(self, kind_name: str, kind: Kind) -> None:
        """Put the rules of a kind into the destination's words."""
        label, write, way = kind.rule, self.manifest.write(kind_name), spoken(self.mapping, kind_name)
        if label is None or write is None or write.create is None or way is None:
            return
        self._arriving = {}
        to = find(way.dialect)
        writer, numbers = added_statuses(to, self.mapping)
        lines: list[list[Any]] = []
        found: list[list[Any]] = []
        for id, rule in self._rules(kind_name, kind, to):
            made = translate(to, way.dialect, rule, writer)
            natives, lost = self._settled(to, made, made.native)
            natives = [ADDED.sub(lambda named: numbers.get(named[1], named[0]), native) for native in natives]
            does, why = self._carried(kind_name, rule, way) or self._judged(
                made, natives, lost, exact=kind.fields[label].exact
            )
            parts = natives if not does else [None]
            ordered = bool(getattr(to, "NAMES_ORDER", False))
            called = [json.loads(native).get("name") if native and ordered else None for native in parts]
            lines += [[kind_name, id, part, native, called[part], does, why] for part, native in enumerate(parts)]
            found += [
                [kind_name, id, one.verdict, one.place, one.what, one.note, one.click, made.waits]
                for one in made.findings
                if one.verdict != "exact"
            ]
        self.stage.insert("plan.translated", lines)
        self.stage.insert("plan.finding", found)

    def _carried(self, kind_name: str, rule: Rule, way: Spoken) -> tuple[str, str] | None:
        """Leave a rule that arrives as a record of another kind, in its vendor's own words (decision 0026)."""
        own = getattr(find(way.dialect), "CARRIED_AS", {}).get(kind_name)
        if rule.vendor != way.dialect or own is None:
            return None
        return "skip", f"it arrives as a {own.replace('_', ' ')}, in the vendor's own words"

    def _added(self) -> set[str]:
        """Return the statuses of the destination's own that tickets are moved into, by the mapping and the overlay."""
        verbs = [variant.fields.get("status") for variant in self.mapping.kinds.get("ticket", ())]
        return {str(native) for verb in verbs if verb and verb.values is not None for native in verb.back().values()}

    def _rules(self, kind_name: str, kind: Kind, to: Dialect) -> list[tuple[str, Rule]]:
        """Return the kind's rules, each with its id; with its place where the destination runs them by their names."""
        label, title = name(kind.rule or ""), name(kind.label or "id")
        sequence = next((name(label) for label, spec in kind.fields.items() if spec.sequence), "NULL")
        rank = f"row_number() OVER (ORDER BY {sequence} NULLS LAST, length(id), id)"
        rows = self.stage.rows(
            f"SELECT id, {title}, {label}, {rank} FROM canonical.{name(kind_name)} WHERE {label} IS NOT NULL ORDER BY 4"
        )
        places = bool(getattr(to, "NAMES_ORDER", False)) and sequence != "NULL"
        spoken_by = {"" if text is None else json.loads(text).get("vendor") for _, _, text, _ in rows[:1]}
        labels = {} if self.manifest.vendor in spoken_by else self._labels()
        return [
            (
                id,
                self._without_webhooks(
                    parsed(_labelled(text, labels), name=called or "", position=place if places else None)
                ),
            )
            for id, called, text, place in rows
        ]

    def _labels(self) -> Labels:
        """Return what the options of custom fields are called."""
        if "custom_field" not in self.stage.tables_of("canonical"):
            return {}
        rows = self.stage.rows(
            "SELECT applies_to || ':' || key, option_keys, options FROM canonical.custom_field "
            "WHERE len(option_keys) = len(options) AND key IS NOT NULL"
        )
        return {field: dict(zip(keys, called, strict=True)) for field, keys, called in rows}

    def _settled(
        self, to: Dialect, made: Translation, natives: Sequence[Native], *, strict: bool = True
    ) -> tuple[list[str], str]:
        """Return what would be written, in the words that tickets have there, and why it cannot be said in them."""
        settle = getattr(to, "settled", None)
        lost, texts = "", []
        for native in natives:
            if settle is not None and made.rule.vendor != made.vendor:
                native, why = settle(native, self._words())
                lost = lost or (why if strict else "")
            texts.append(NAMED.sub(r"\1", json.dumps(native, ensure_ascii=False)))
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
        them."""
        found: dict[str, Setup] = {}
        for kind_name, kind in self.kinds.kinds.items():
            label, write, way = kind.rule, self.manifest.write(kind_name), spoken(self.mapping, kind_name)
            provide = getattr(find(way.dialect), "provided", None) if way else None
            if provide is None or label is None or way is None or write is None or write.create is None:
                continue
            to = find(way.dialect)
            writer = added_statuses(to, self.mapping)[0]
            for _, rule in self._rules(kind_name, kind, to):
                made = translate(to, way.dialect, rule, writer)
                if self._hopeless(made, self._settled(to, made, made.native)[1], exact=kind.fields[label].exact)[0]:
                    continue
                for need in made.needs:
                    native = self._settled(to, made, [need.native], strict=False)[0][0] if need.native else None
                    one = provide(replace(need, native=json.loads(native) if native else None))
                    if not isinstance(one, str) and one[0] in self.kinds.kinds:
                        found.setdefault(one[1], Setup(kind=one[0], id=one[1], fields=one[2]))
        return (*found.values(), *self._brought())

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

    def _hopeless(self, made: Translation, lost: str, *, exact: bool) -> tuple[str, str]:
        """Return what is done with a rule that is not written whatever else arrives, and why."""
        title = self.manifest.title
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
        if lost:
            return "manual", lost
        provide: Callable[[Need], Any] = getattr(find(made.vendor), "provided", lambda need: "")
        for need in made.needs:
            if isinstance(said := provide(need), str) and said:
                return "manual", f"it needs the {need.kind} {need.name} there: {said}"
        return "", ""

    def _judged(self, made: Translation, natives: Sequence[str], lost: str, *, exact: bool) -> tuple[str, str]:
        """Return what else is done with a rule that is not written, and why; empty where it is."""
        does, why = self._hopeless(made, lost, exact=exact)
        if does:
            return does, why
        if not natives:
            built = [
                one.note for one in made.findings if one.place == "rule" and one.what == made.rule.name and one.note
            ]
            return "skip", "; ".join(built) or "it never acts, or has nothing that could be written"
        whole = "".join(natives)
        known = getattr(find(made.vendor), "LOOKED_UP", ())
        missing = [f"{kind.replace('_', ' ')} {id}" for kind, id in marks(whole) if not self._arrives(kind, id)]
        there = self._added() if OPEN.search(whole) else set()
        open_ = [(kind, id) for kind, id in dict.fromkeys(OPEN.findall(whole)) if kind not in known]
        open_ = [(kind, id) for kind, id in open_ if kind != "status" or id not in there]
        missing += [f"{kind.replace('_', ' ')} {id}" for kind, id in open_]
        if trees := [id for kind, id in marks(whole) if kind == "custom_field" and id in self._trees()]:
            return (
                "manual",
                f"it asks for one level of the dependent field {trees[0]}, which is one field of whole paths",
            )
        if missing:
            more = f" and {len(missing) - FEW} more" if len(missing) > FEW else ""
            return "manual", f"it names what is not written: {', '.join(missing[:FEW])}{more}"
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
    verbs = [one.fields["status"] for one in mapping.kinds.get("ticket", ()) if "status" in one.fields]
    codes = verbs[0].back() if verbs else {}
    there = {
        ours: codes[ours] for ours, (_, without) in wished.items() if codes.get(ours) not in (None, codes.get(without))
    }
    write: Write = to.write_with(frozenset(there))
    return write, {wished[ours][0]: json.dumps(code) for ours, code in there.items()}


def _labelled(text: str, labels: Labels) -> str:
    """Return a rule's text with the options of custom fields by what they are called, as tickets have them there."""
    if not any(f"custom_field:{field}⟫" in text for field in labels):
        return text

    def named(node: Any) -> Any:
        if isinstance(node, list):
            return [named(one) for one in node]
        if not isinstance(node, dict):
            return node
        found = marks(str((node.get("path") or {}).get("name"))) if isinstance(node.get("path"), dict) else []
        called = labels.get(found[0][1], {}) if found else {}
        done = {key: named(value) for key, value in node.items()}
        for one in (*(done.get("values") or ()), done.get("value")) if called else ():
            if isinstance(one, dict) and one.get("type") == "literal":
                one["value"] = called.get(str(one["value"]), one["value"])
        return done

    return json.dumps(named(json.loads(text)), ensure_ascii=False, sort_keys=True)


def translate(to: Dialect, vendor: str, rule: Rule, write: Write | None = None) -> Translation:
    """Return the translation into a dialect; of a rule of the same vendor's, what nobody knows is left behind: it may
    be of the old account."""
    foreign = [one for one in rule.options if one[0] in getattr(to, "OF_ACCOUNT", ())]
    if rule.vendor != vendor or not (rule.unknown or foreign):
        return translated(to, rule, write)
    kept = tuple(one for one in rule.options if one not in foreign)
    made = translated(to, rule.model_copy(update={"unknown": (), "options": kept}), write)
    whys = dict.fromkeys(rule.unknown, "nobody knows this key; it is not carried over")
    whys |= dict.fromkeys(foreign, "names people of the old account; set it by hand")
    lost = tuple(Finding("rule", f"{key}: {value}", "approximated", why) for (key, value), why in whys.items())
    return replace(made, findings=made.findings + lost)


def _reasons(findings: Sequence[Finding], verdict: str) -> str:
    said = [f"{one.what[:120]}: {one.note}".removesuffix(": ") for one in findings if one.verdict == verdict]
    some = list(dict.fromkeys(said))
    return "; ".join(some[:FEW]) + (f" and {len(some) - FEW} more" if len(some) > FEW else "")


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


def same(expected: str | None, found: str | None, name_of: Named) -> bool:
    """Say whether a rule that was predicted in our names is the one that was found in theirs."""
    if expected is None or found is None:
        return expected == found
    wanted = named(expected, lambda kind, id: name_of(kind, id) or f"(not written: {kind} {id})")
    return _acts(wanted) == _acts(bare(found))


def _acts(text: str) -> dict[str, Any]:
    """Return a rule without what is kept elsewhere and was read beside it: those records are compared by themselves."""
    held: dict[str, Any] = json.loads(text)
    held.pop("texts", None)
    return held
