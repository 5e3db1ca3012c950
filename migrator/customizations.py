"""The customization report's data: every rule as it is, as it would be, the verdict on it, and what is left to do.

Reads an exported file and, where a workspace is named, its staged tickets; writes nothing anywhere.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from migrator import registry
from migrator.compile import json_step, name, quoted
from migrator.errors import InputError
from migrator.manifest import Manifest
from migrator.registry import Connector
from migrator.rules.clock import Calendar, folded, lives, told
from migrator.rules.conditions import All, Condition, leaves
from migrator.rules.dialect import Dialect, sequence
from migrator.rules.records import native_rule, parsed, translate, translated
from migrator.rules.references import bare, marks, named
from migrator.rules.replay import replayed, runs
from migrator.rules.request import export_request
from migrator.rules.rule import Hook, Kind, Rule
from migrator.rules.sets import sides
from migrator.rules.sql import Agreement, Moved, agreements, counts, examples
from migrator.rules.verdicts import MAIL_MEANINGS, MEANINGS, WORST, Translation
from migrator.rules.words import leaf_words, rule_lines
from migrator.seals import SEALED
from migrator.settings import FATES, calendars, planned
from migrator.stage import Stage
from migrator.translate import added_statuses, names
from migrator.workspace import Workspace

KINDS = {
    "trigger": "Triggers",
    "timed": "Timed rules",
    "macro": "Macros",
    "view": "Views",
    "sla": "SLA policies",
    "filter": "Mail filters",
}
# What a person spends on one rule, roughly (estimates; the report says so).
MINUTES = {"exact": 0, "equivalent": 2, "approximated": 15, "untranslatable": 30, "unreadable": 45}
TICKET = {  # a staged ticket's columns that conditions ask for
    "ticket.status": "status",
    "ticket.priority": "priority",
    "ticket.type": "type",
    "ticket.channel": "channel",
    "ticket.group": "group",
    "ticket.assignee": "assignee",
    "ticket.requester": "requester",
    "ticket.organization": "organization",
    "ticket.brand": "brand",
    "ticket.form": "form",
    "ticket.subject": "subject",
    "tags": "tags",
}
Native = dict[str, Any]


def _document(file: Path) -> Any:
    """Return what a JSON file holds. Raises InputError."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as err:
        raise InputError("no such file", file=str(file)) from err
    except (OSError, ValueError) as err:
        raise InputError(f"not JSON ({err})", file=str(file)) from err


def read(file: Path, vendor: str) -> list[tuple[Kind, Native]]:
    """Return the rules of an exported file, each with its kind. Raises InputError."""
    document = _document(file)
    listed = []
    try:
        listed = [(kind, one) for kind, one in registry.dialect(vendor).listed(document) if isinstance(one, dict)]
    except (AttributeError, KeyError, TypeError) as err:
        raise InputError(f"not an export of {vendor}'s rules ({err!r})", file=str(file)) from err
    if not listed:
        remedy = 'put what the API answers into one file, such as {"triggers": [...], "macros": [...]}'
        raise InputError(f"holds no rules of {vendor}", file=str(file), remedy=remedy)
    return listed


def explain(
    file: Path, source: str, destination: str, workspace: Path | None = None, *, history: Path | None = None
) -> dict[str, Any]:
    """Return everything the report shows about a file's rules; ``history``: what happened to tickets, to replay."""
    old, new = registry.dialect(source), registry.dialect(destination)
    listed = read(file, source)
    check = getattr(old, "checker", lambda document: None)(_document(file))
    made = [translated(new, native_rule(old, source, native, kind)) for kind, native in listed]
    if check is not None:
        made = [_checked(one, check, *of) for one, of in zip(made, listed, strict=True)]
    back = [read_back(new, one) for one in made]
    counted = _compared(workspace, made, back) if workspace else [None] * len(made)
    shown = [shown_rule(*parts) for parts in zip(made, back, counted, strict=True)]
    data = page(file.name, old, new, shown, made, compared=workspace is not None)
    hours = getattr(old, "calendar", lambda document: None)(_document(file))
    played = None if history is None else _replayed(history, source, old, new, made, hours)
    told: dict[str, Calendar] = getattr(old, "calendars", lambda document: {})(_document(file))
    files: dict[str, str] = getattr(new, "files", lambda made, hours: {})(made, told or _hours_of(workspace))
    return data | {"checked": check is not None, "replayed": played, "files": files}


def _hours_of(workspace: Path | None) -> dict[str, Calendar]:
    """Return the working hours of a workspace's staged account."""
    if workspace is None or not Workspace(workspace).stage.is_file():
        return {}
    with Stage(Workspace(workspace).stage, read_only=True) as stage:
        return calendars(stage)


def of_account(workspace: Workspace, source: Connector, destination: Connector, account: str) -> dict[str, Any] | None:
    """Return everything the report shows about the rules of the account that is staged; None where it has none.

    References are shown by the names of the records they mean; the tickets that are counted are the staged ones.
    """
    rows = _staged(workspace, source)
    if not rows or destination.vendor not in registry.dialects():
        return None
    new = registry.dialect(destination.vendor)
    rules = [parsed(text, **beside) for _, beside, text, _ in rows]
    write, _ = added_statuses(new, destination.mapping)
    made = [translate(new, destination.vendor, rule, write) for rule in rules]
    back = [read_back(new, one) for one in made]
    plain = [translate(new, destination.vendor, parsed(bare(text), **beside), write) for _, beside, text, _ in rows]
    counted = _compared(workspace.folder, plain, [read_back(new, one) for one in plain])
    with Stage(workspace.stage) as stage:
        name_of = names(stage, {mark for _, _, text, _ in rows for mark in marks(text)})
    shown = []
    for one, rules_back, count, (kind, _, _, fate) in zip(made, back, counted, rows, strict=True):
        line = _said(shown_rule(one, rules_back, count), name_of)
        shown.append({**line, "fate": _said(fate, name_of), "record": kind})
    old = registry.dialect(rules[0].vendor)
    data = page(account, old, new, shown, made, compared=True)
    fired = [(one["counted"]["source"], one["verdict"]) for one in shown if one["counted"]]
    kept = sum(count for count, verdict in fired if verdict in ("exact", "equivalent"))
    with Stage(workspace.stage) as stage:
        beside = planned(stage, source.kinds)
    by_hand = round(sum(one.minutes for one in beside) / 60, 1)
    return data | {
        "account": True,
        "settings": beside,
        "settings_hours": by_hand,
        "hours": round(data["hours"] + by_hand, 1),
        "needs": _said(data["needs"], name_of),
        "fired": sum(count for count, _ in fired),
        "fired_good": kept,
        "secrets": enter_again(workspace, source.manifest),
        "unread": source.manifest.unread,
    }


Staged = tuple[str, dict[str, Any], str, str]  # kind, what stands beside the rule, its text, what becomes of it


def _staged(workspace: Workspace, source: Connector) -> list[Staged]:
    """Return the rules that are staged, in the order of their kinds and places."""
    found: list[Staged] = []
    if not workspace.stage.is_file():
        return found
    with Stage(workspace.stage) as stage:
        here = stage.tables_of("canonical")
        planned = "planned" in stage.tables_of("plan")
        for kind_name in source.kinds.in_order():
            kind = source.kinds.kinds[kind_name]
            if not kind.rule or not kind.switch or kind.owner or kind_name not in here:
                continue  # what stands on a form is shown with the forms
            fate = "p.action, p.reason" if planned else "NULL, NULL"
            plan = f"LEFT JOIN plan.planned p ON p.kind = {quoted(kind_name)} AND p.id = c.id" if planned else ""
            rows = stage.rows(
                f"SELECT c.id, c.{name(kind.label or 'id')}, c.description, c.{name(kind.switch)}, c.position, "
                f"c.{name(kind.rule)}, {fate} FROM canonical.{name(kind_name)} c {plan} "
                f"WHERE c.{name(kind.rule)} IS NOT NULL ORDER BY c.position, length(c.id), c.id"
            )
            for id, label, description, active, position, text, action, reason in rows:
                becomes = ": ".join(part for part in (_fate(action), reason) if part)
                beside = {"id": id, "name": label or "", "description": description or "", "position": position}
                # One that was off is written off; it is not called dead for that.
                found.append((kind_name, {**beside, "active": active or None}, text, becomes))
    return found


def _fate(action: str | None) -> str:
    """Return in a person's words what the plan does with a rule."""
    word = FATES.get(action or "", (action or "", ""))[0]
    return f"{word}, switched off" if action == "create" else word


def _said(node: Any, name_of: Callable[[str, str], str]) -> Any:
    """Return what is shown with the names of records in the place of their marks."""
    if isinstance(node, dict):
        return {key: _said(value, name_of) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return type(node)(_said(one, name_of) for one in node)
    return named(node, name_of) if isinstance(node, str) else node


def page(
    called: str,
    old: Dialect,
    new: Dialect,
    shown: Sequence[dict[str, Any]],
    made: Sequence[Translation],
    *,
    compared: bool,
) -> dict[str, Any]:
    """Return what the page shows of these rules together."""
    verdicts, mail = Counter(one["verdict"] for one in shown), all(one["kind"] == "filter" for one in shown)
    hidden = [one["name"] for one in shown if one["verdict"] == "unreadable"]
    return {
        "file": called,
        "account": False,
        "settings": [],
        "settings_hours": 0,
        "source": old.TITLE,
        "destination": new.TITLE,
        "rules": shown,
        "kinds": [(label, [one for one in shown if one["kind"] == kind]) for kind, label in KINDS.items()],
        "verdicts": {verdict: verdicts[verdict] for verdict in WORST if verdicts[verdict]},
        "meanings": MAIL_MEANINGS if mail else MEANINGS,
        "mail": mail,
        "total": len(shown),
        "good": verdicts["exact"] + verdicts["equivalent"],
        "obsolete": sum(1 for one in shown if one["obsolete"]),
        "waits": sum(1 for one in shown if one["waits"]),
        "hours": round(sum(one["minutes"] for one in shown) / 60, 1),
        "needs": _needs(made),
        "sequence": [] if mail else sequence(old.POLICY, new.POLICY),
        "checked": False,
        "request": export_request(old.TITLE, list(dict.fromkeys(hidden))) if hidden and not mail else "",
        "replayed": None,
        "compared": compared,
        "fired": 0,
        "fired_good": 0,
        "secrets": [],
        "unread": {},
    }


def _checked(made: Translation, check: Any, kind: Kind, native: Native) -> Translation:
    """Return the translation with what the account's own definitions say of the rule."""
    try:
        found = tuple(check(kind, native))
    except (AttributeError, KeyError, TypeError, ValueError):  # not the shape of a rule; the translation says so
        return made
    return replace(made, findings=made.findings + found)


def _replayed(
    file: Path, vendor: str, old: Dialect, new: Dialect, made: Sequence[Translation], calendar: Calendar | None
) -> dict[str, Any]:
    """Return how tickets end under both rule sets, over the histories of a file. Raises InputError.

    Rules by the clock are played where every update tells when it was.
    """
    listed = getattr(old, "histories", None)
    if listed is None:
        raise InputError(f"histories of {vendor} cannot be read", file=str(file), remedy="Zendesk's ticket audits can")
    try:
        found = list(listed(_document(file)))
    except (AttributeError, KeyError, TypeError, ValueError) as err:
        raise InputError(f"not histories of {vendor}'s tickets ({err!r})", file=str(file)) from err
    whole = [one for one in found if one.from_start]
    if not whole:
        remedy = "give all audits of a ticket, from the one that made it"
        raise InputError("holds no history that begins at the beginning", file=str(file), remedy=remedy)
    dated = [one.at for history in whole for one in history.updates if one.at is not None]
    ticks = len(dated) == sum(len(one.updates) for one in whole) and getattr(old, "CLOCK", None) is not None
    kinds = ("trigger", "timed") if ticks else ("trigger",)
    live = [one for one in made if one.rule.kind in kinds and one.rule.active is not False]
    by_the_clock = sum(one.rule.kind == "timed" for one in live)
    keys = sorted(frozenset[str]().union(*(one.paths for one in whole)))
    anchors = told(calendar) if ticks else frozenset[str]()
    source, destination, lost = sides(old, new, live, keys, anchors)
    play = partial(lives, until=max(dated), calendar=calendar) if by_the_clock else runs
    whole = [folded(one) for one in whole] if by_the_clock else whole
    return {
        **replayed(whole, source, destination, keys, play=play),
        "timed": list(dict.fromkeys(source.timed_of)),
        "left_out": [{"name": name, "why": why} for name, why in lost.items()],
        "from_middle": len(found) - len(whole),
        "by_the_clock": 0 if ticks else sum(one.rule.kind == "timed" for one in made),
    }


def read_back(to: Dialect, made: Translation) -> list[Rule]:
    """Return what the destination's own reader makes of what would be written."""
    return [to.read(native, made.rule.kind) for native in made.native]


def shown_rule(made: Translation, back: Sequence[Rule], counted: dict[str, Any] | None) -> dict[str, Any]:
    """Return what the page shows of one rule; ``back``: what the destination's reader makes of it."""
    rule = made.rule
    findings = sorted(made.findings, key=lambda one: -WORST.index(one.verdict))
    written = made.verdict not in ("untranslatable", "unreadable")
    said = [one for one in findings if one.note or one.verdict not in ("exact", "equivalent")]
    return {
        "name": rule.name or "(no name)",
        "id": rule.id,
        "kind": rule.kind,
        "active": rule.active is not False,
        "verdict": made.verdict,
        "meaning": MEANINGS[made.verdict],
        "obsolete": made.obsolete,
        "waits": made.waits,
        "written": written,
        "minutes": 0 if made.obsolete else MINUTES[made.verdict],
        "source": rule_lines(rule),
        "destination": [{"name": one.name, "lines": rule_lines(one)} for one in back],
        "native": [_told(rule, json.dumps(native, ensure_ascii=False, indent=1)) for native in made.native],
        "mailboxes": [],
        "nodes": len(made.findings),
        "findings": [vars(one) for one in dict.fromkeys(said)],
        "counted": counted,
        "fate": "",
    }


def _told(rule: Rule, text: str) -> str:
    """Return a vendor's own words without the secrets that stand in them."""
    for one in rule.do:
        for _, secret in one.headers if isinstance(one, Hook) else ():
            said = json.dumps(secret.get_secret_value(), ensure_ascii=False)[1:-1]
            text = text.replace(said, "(enter again)") if said else text
    return text


def _needs(made: Sequence[Translation]) -> list[dict[str, Any]]:
    """Return what the destination must have first, each once, with how many rules want it."""
    wanted = [need for one in made if one.verdict not in ("untranslatable", "unreadable") for need in one.needs]
    count = Counter((need.kind, need.name) for need in wanted)
    first = {(need.kind, need.name): need for need in reversed(wanted)}
    return [
        {
            "kind": kind.replace("_", " "),
            "name": label,
            "because": first[kind, label].because,
            "rules": count[kind, label],
        }
        for kind, label in sorted(first)
    ]


def _compared(
    workspace: Path, made: Sequence[Translation], back: Sequence[Sequence[Rule]]
) -> list[dict[str, Any] | None]:
    """Return for each rule how many staged tickets it and its translation take in, by the state of the tickets."""
    pairs: list[tuple[Condition, Condition, Moved]] = []
    at: list[int | None] = []
    for one, rules in zip(made, back, strict=True):
        asks = one.rule.kind != "macro" and len(rules) == 1
        at.append(len(pairs) if asks else None)
        if asks:
            pairs.append((one.rule.when, rules[0].when, one.moved))
    file = workspace / "stage.duckdb"
    if not file.is_file():
        raise InputError(
            "no staged tickets here", file=str(file), remedy="`migrator extract` and `migrator plan` first"
        )
    with Stage(file, read_only=True) as stage:
        if not pairs or "ticket" not in stage.tables_of("canonical"):
            return [None] * len(made)
        given, columns = tickets(stage, [condition for pair in pairs for condition in pair[:2]])
        question = counts("ticket", pairs, columns)
        found = agreements(stage.rows(given + question.sql, *question.values)[0])
        results: list[dict[str, Any] | None] = []
        for place in at:
            if place is None:
                results.append(None)
                continue
            few = examples("ticket", pairs[place], columns)
            differ = found[place].false_negatives + found[place].false_positives
            rows = stage.rows(given + few.sql, *few.values) if differ else []
            results.append(counted_pair(found[place], question.unseen[place], rows))
    return results


def counted_pair(found: Agreement, unseen: Sequence[Any], rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """Return a comparison as the report shows it; ``unseen`` names what the tickets alone cannot answer."""
    asked = [leaf_words(leaf) for leaf in dict.fromkeys(unseen)]
    return {**vars(found), "unseen": asked, "examples": [{"id": str(id), "source": bool(one)} for id, one in rows]}


def tickets(stage: Stage, conditions: Sequence[Condition]) -> tuple[str, list[str]]:
    """Return staged tickets as a WITH clause whose columns conditions ask for, and the names of these columns."""
    there = {row[0] for row in stage.rows("SELECT column_name FROM (DESCRIBE canonical.ticket)")}
    columns = {path: name(column) for path, column in TICKET.items() if column in there}
    now = "(SELECT max(updated_at) FROM canonical.ticket)"
    for anchor, column in (("created", "created_at"), ("updated", "updated_at")):
        if column in there and "updated_at" in there:
            columns[f"hours.{anchor}"] = f"date_diff('second', {name(column)}, {now}) / 3600.0"
    held = "custom_field" in stage.tables_of("canonical")
    of = "SELECT key, min(id) FROM canonical.custom_field WHERE applies_to = 'ticket' AND key IS NOT NULL GROUP BY 1"
    ids = dict(stage.rows(of)) if held else {}
    for leaf in leaves(All(of=tuple(conditions))):
        at = getattr(leaf, "path", None)
        if at is not None and at.of == "ticket" and at.custom and "custom" in there:
            literal = f"${json_step(ids.get(at.custom, at.custom))}".replace("'", "''")
            columns[str(at)] = f"json_extract_string(custom, '{literal}')"
    shown = ", ".join(f"{expression} AS {name(path)}" for path, expression in columns.items())
    moved = "WHERE NOT COALESCE(deleted, FALSE)" if "deleted" in there else ""
    return f"WITH ticket AS (SELECT id, {shown} FROM canonical.ticket {moved}) ", list(columns)


def enter_again(workspace: Workspace, manifest: Manifest, dataset: str = "raw") -> list[dict[str, Any]]:
    """Return the records that held secrets: stream, id, name, and the places a person fills again."""
    if not workspace.stage.is_file():
        return []
    found = []
    with Stage(workspace.stage) as stage:
        there = stage.tables_of(dataset)
        for stream in [stream for stream, spec in manifest.streams.items() if spec.secrets and stream in there]:
            rows = stage.rows(
                f"SELECT id, CAST(body AS VARCHAR) FROM {name(dataset)}.{name(stream)} "
                "WHERE contains(CAST(body AS VARCHAR), ?) ORDER BY length(id), id",
                SEALED,
            )
            found += [_sealed_in(stream, id, json.loads(body)) for id, body in rows]
    return found


def _sealed_in(stream: str, id: str, body: Native) -> dict[str, Any]:
    places: list[str] = []

    def walk(node: Any, at: str) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                walk(value, f"{at}.{key}" if at else str(key))
        elif isinstance(node, list):
            for one in node:
                walk(one, at)
        elif isinstance(node, str) and SEALED in node:
            places.append(at)

    walk(body, "")
    label = body.get("name") or body.get("title") or id
    return {"stream": stream, "id": id, "label": str(label), "places": list(dict.fromkeys(places))}


def summary(data: Mapping[str, Any]) -> str:
    """Return the one line that says it all."""
    share, what = 100 * data["good"] / data["total"], "mail filters" if data["mail"] else "rules"
    return (
        f"{data['good']} of {data['total']} {what} ({share:.0f} %) mean the same in {data['destination']}; "
        f"about {data['hours']:g} hours of work are left"
    )
