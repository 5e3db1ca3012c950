"""The customization report of a hosting account: each mail filter as it is, as Sieve says it, and what the plan does.

Reads the stage and writes nothing anywhere. A script that was Sieve at the source goes along as it is.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from migrator import registry
from migrator.compile import name
from migrator.customizations import MINUTES, counted_pair, page, read_back, shown_rule
from migrator.errors import InputError
from migrator.registry import Connector
from migrator.rules.conditions import All, Condition, Opaque
from migrator.rules.dialect import Dialect
from migrator.rules.rule import Rule
from migrator.rules.sql import Agreement, Moved, agreements, counts
from migrator.rules.verdicts import MAIL_MEANINGS, Finding, Translation
from migrator.rules.words import rule_lines
from migrator.stage import Stage
from migrator.workspace import Workspace

KIND = "mail_filter"
SIEVE = "imap"  # whose dialect the scripts are in (hosting.yaml)
ARRIVES = ("create", "update", "merge", "keep", "")  # what a plan does with what arrives; empty: there is no plan
# What conditions ask of a mail and a staged message tells, to its SQL. A subject is staged to its 200th letter.
STAGED = {"message.header:subject": "m.subject", "message.size": "m.size"}
Lines = list[tuple[int, str]]


@dataclass
class Carried:
    """One filter, or the same in several mailboxes; ``lost``: why it does not arrive, empty where it does."""

    made: Translation
    destination: Sequence[Rule]
    lost: str
    fate: str
    source: Lines = field(default_factory=list)  # in place of the rule's, where a whole script is one
    mailboxes: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        """Return what is the same of the same filter in two mailboxes."""
        lines = [rule_lines(self.made.rule), *map(rule_lines, self.destination), self.source]
        return json.dumps([self.made.rule.name, self.made.rule.active, lines, self.lost, self.fate])


def of_mailboxes(workspace: Workspace, source: Connector, account: str) -> dict[str, Any] | None:
    """Return everything the report shows about the mail filters that are staged; None where there are none."""
    if not workspace.stage.is_file() or KIND not in source.mapping.kinds:
        return None
    with Stage(workspace.stage) as stage:
        found: dict[str, Carried] = {}
        for one in _carried(stage, source):
            found.setdefault(one.key, one).mailboxes += one.mailboxes
        some = list(found.values())
        counted = _counted(stage, some)
    if not some:
        return None
    sieve = registry.dialect(SIEVE)
    shown = [_shown(*one) for one in zip(some, counted, strict=True)]
    data = page(account, registry.dialect(some[0].made.rule.vendor), sieve, shown, [], compared=True)
    fired = [(one["counted"]["source"], one["written"]) for one in shown if one["counted"]]
    return data | {
        "source": source.manifest.title if some[0].made.rule.vendor == SIEVE else data["source"],
        "account": True,
        "good": sum(1 for one in shown if one["written"]),
        "fired": sum(count for count, _ in fired),
        "fired_good": sum(count for count, arrives in fired if arrives),
    }


# ---- what is staged --------------------------------------------------------------------------------------------------


def _carried(stage: Stage, source: Connector) -> Iterator[Carried]:
    """Yield the filters that are staged, mailbox by mailbox, in their order."""
    here, planned = stage.tables_of("raw"), "planned" in stage.tables_of("plan")
    fate = "COALESCE(p.action, ''), COALESCE(p.reason, '')" if planned else "'', ''"
    plan = f"LEFT JOIN plan.planned p ON p.kind = '{KIND}' AND p.id = c.id" if planned else ""
    if KIND not in stage.tables_of("canonical"):
        return
    for stream in dict.fromkeys(variant.stream for variant in source.mapping.kinds[KIND]):
        if stream not in here:
            continue
        rows = stage.rows(
            f"SELECT CAST(r.body AS VARCHAR), c.address, c.name, c.script, c.active, {fate} "
            f"FROM canonical.{KIND} c JOIN raw.{name(stream)} r ON r.id = c.id {plan} ORDER BY c.address, c.id"
        )
        for body, address, called, script, active, action, reason in rows:
            held = json.loads(body)
            vendor = (held.get("told") or {}).get("vendor")
            lost = "" if action in ARRIVES else reason or action
            said = f"{action}: {reason}".removesuffix(": ").removeprefix(": ")
            if vendor:
                some = _translated(registry.dialect(vendor), held, lost, said)
            else:
                some = iter([_as_it_is(str(called or ""), script, bool(active), lost, said)])
            for one in some:
                one.mailboxes = [str(address or held.get("mailbox") or "")]
                yield one


def _translated(of: Any, body: dict[str, Any], lost: str, fate: str) -> Iterator[Carried]:
    """Yield the filters of a record in another vendor's words."""
    sieve = registry.dialect(SIEVE)
    for made, why in of.carried(body):
        good = made.verdict in ("exact", "equivalent")  # only that is worth showing where it is left all the same
        back = _read(sieve, made) if good else []
        made = _judged(made if good else replace(made, native=()), why or lost)
        yield Carried(made, back, why or lost, "" if why or lost else fate)


def _judged(made: Translation, lost: str) -> Translation:
    """Return the translation with why the filter does not arrive, unless a finding says so."""
    if not lost or any((one.note and one.note in lost) or lost in one.what for one in made.findings):
        return made
    return replace(made, findings=(*made.findings, Finding("rule", "does not arrive", "untranslatable", lost)))


def _read(sieve: Dialect, made: Translation) -> list[Rule]:
    try:
        return read_back(sieve, made)
    except InputError:  # nothing here parses Sieve: the script itself is shown
        return []


def _as_it_is(called: str, script: str | None, active: bool, lost: str, fate: str) -> Carried:
    """Return a script that needs no other words; one that is in no Sieve is for a person."""
    rule = Rule(vendor=SIEVE, kind="filter", name=called, active=active)
    if script is None:
        rule = rule.model_copy(update={"when": All(of=(Opaque(text=called, why="it is no Sieve"),))})
        notes = (Finding("rule", called, "unreadable", lost or "it is no Sieve"),)
        return Carried(Translation(rule, SIEVE, (), notes), [], lost or "it is no Sieve", "")
    made = Translation(rule, SIEVE, ({"name": called, "script": script, "requires": []},), ())
    return Carried(_judged(made, lost), [rule], lost, "" if lost else fate, source=_script_lines(called, script))


def _script_lines(called: str, script: str) -> Lines:
    """Return what a whole script says in plain words; as it stands where nothing here parses Sieve."""
    sieve = registry.dialect(SIEVE)
    try:
        rules = [sieve.read(native, kind) for kind, native in sieve.listed({"scripts": [{"script": script}]})]
    except InputError:
        return [(0, script)]
    return [line for rule in rules for line in rule_lines(rule)]


# ---- what is shown ---------------------------------------------------------------------------------------------------


def _shown(one: Carried, counted: dict[str, Any] | None) -> dict[str, Any]:
    shown = shown_rule(one.made, one.destination, counted)
    script = "\n".join(str(native["script"]).rstrip() for native in one.made.native)
    shown |= {
        "written": not one.lost,
        "obsolete": "",  # one that is switched off arrives switched off
        "minutes": MINUTES["untranslatable" if one.lost else one.made.verdict],
        "native": [script] if script else [],
        "findings": _notes(shown["findings"]),
        "fate": "" if one.fate == "create" else one.fate,
        "mailboxes": sorted(set(one.mailboxes)),
        "whole": bool(one.source),
        "meaning": MAIL_MEANINGS[one.made.verdict],
    }
    if one.source:
        shown |= {"source": one.source, "destination": [{"name": one.made.rule.name, "lines": one.source}]}
    return shown


def _notes(findings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the findings without what another one has said."""
    hidden = {one["what"] for one in findings if one["verdict"] == "unreadable"}
    kept = [one for one in findings if one["verdict"] != "untranslatable" or one["what"] not in hidden]
    return [one | {"note": "" if f"({one['note']})" in one["what"] else one["note"]} for one in kept]


def _counted(stage: Stage, some: Sequence[Carried]) -> list[dict[str, Any] | None]:
    """Return of how many of its mailboxes' staged messages each filter's condition holds, before and after.

    None where the condition asks for what is not staged: of a message, its subject and its size are.
    """
    found: list[dict[str, Any] | None] = [None] * len(some)
    if not {"mail_message", "mail_folder"} <= stage.tables_of("canonical"):
        return found
    at: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(some):
        asks = len(one.destination) == 1 and not one.source
        question = counts("mail", [(one.made.rule.when, one.destination[0].when, {})], list(STAGED)) if asks else None
        for mailbox in set(one.mailboxes) if question and not any(question.unseen) else ():
            at[mailbox].append(place)
    columns = ", ".join(f"{sql} AS {name(path)}" for path, sql in STAGED.items())
    for mailbox, places in at.items():
        pairs: list[tuple[Condition, Condition, Moved]] = [
            (some[place].made.rule.when, some[place].destination[0].when, {}) for place in places
        ]
        question = counts("mail", pairs, list(STAGED))
        given = (
            f"WITH mail AS (SELECT m.id, {columns} FROM canonical.mail_message m "
            f"JOIN canonical.mail_folder f ON f.id = m.folder WHERE f.address = ${len(question.values) + 1}) "
        )
        [row] = stage.rows(given + question.sql, *question.values, mailbox)
        for place, agreed in zip(places, agreements(row), strict=True):
            found[place] = _sum(found[place], agreed)
    return found


def _sum(so_far: dict[str, Any] | None, one: Agreement) -> dict[str, Any]:
    """Return a comparison with that of another mailbox added."""
    new = counted_pair(one, [], [])
    return new if so_far is None else {key: value + so_far[key] for key, value in new.items()}
