"""Made-up canonical records of every kind, awkward texts among them, references and all."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from migrator.compile import name
from migrator.kinds import Field, Kind
from migrator.mapping import Verb
from migrator.rules.conditions import All, Condition, Elapsed, Event, Is, Lit, Ref, path
from migrator.rules.records import BESIDE
from migrator.rules.references import marked
from migrator.rules.rule import Action, Mail, Recipient, Rule, SetField, Shift, Target, View
from migrator.rules.rule import Kind as Rules
from migrator.rules.template import Said, Template, Var
from migrator.stage import Stage
from migrator.testing.conformance.suite import Suite

TEXTS = (
    "Plain",
    "Ümläut & <b>bold</b> \"quoted\" 'single'",
    "日本語のテキスト",
    "עברית ימין לשמאל",
    "👩‍👩‍👧 emoji",
    "  blanks around  ",
    "long " * 120,
    "'; DROP TABLE x; --",
    "C:\\path\\new",
    "{{liquid}} {token} %s",
)


def account(stage: Stage, suite: Suite) -> None:
    """Put made-up canonical records of every kind into the stage's ``canonical`` schema, references and all."""
    kinds = suite.connector.kinds
    stage.schema("canonical", "blobs", fresh=True)
    ids: dict[str, list[str]] = {}
    for kind_name in kinds.in_order():
        kind = kinds.kinds[kind_name]
        stage.run(f"CREATE TABLE canonical.{name(kind_name)} (id VARCHAR, variant VARCHAR, {stage.columns(kind)})")
        ids[kind_name] = [f"{kind_name}-{n}" for n in range(suite.records)]
        counter: dict[str, int] = {}
        rows = []
        for n, id in enumerate(ids[kind_name]):
            row = {
                label: _value(suite, kind_name, kind, label, spec, n, ids, counter)
                for label, spec in kind.fields.items()
            }
            rows.append([id, kind_name, *row.values()])
        stage.insert(f"canonical.{name(kind_name)}", rows)


def _value(
    suite: Suite,
    kind_name: str,
    kind: Kind,
    label: str,
    spec: Field,
    n: int,
    ids: dict[str, list[str]],
    counter: dict[str, int],
) -> Any:
    if spec.skip:
        return False
    if spec.sequence:
        return counter.get("sequence", 1)
    if spec.to:
        known = [id for to in spec.to for id in ids.get(to, [])]
        for other, value in spec.among.items():
            words = _words(suite, spec.to[0], other)
            known = [id for at, id in enumerate(known) if words[at % len(words)] == value]
        if label == kind.owner:
            chosen = known[n // 3] if len(known) > n // 3 else known[0]
            counter["sequence"] = counter.get("sequence", 0) + 1 if counter.get("last") == n // 3 else 1
            counter["last"] = n // 3
            return chosen
        if not known:
            return None
        chosen = known[(n * 5 + len(label)) % len(known)]
        return [chosen] if spec.type == "refs" else chosen
    allowed = list(spec.examples) or _words(suite, kind_name, label)
    if allowed:
        return [allowed[n % len(allowed)]] if spec.type == "list" else allowed[n % len(allowed)]
    text = TEXTS[n % len(TEXTS)]
    match spec.type:
        case "rule":
            return rule(kind_name, n, text, ids)
        case "text":
            return _text(kind_name, kind, label, n, text)
        case "html":
            return f'<p>{n}: {text.replace("<", "&lt;")}</p><p><a href="https://old.example/{n}">link</a></p>'
        case "integer":
            return len(suite.blob) if label == "size" else n
        case "number":
            return n + 0.5
        case "boolean":
            return n % 2 == 0 if spec.required else False
        case "date":
            return (datetime(2026, 1, 1) + timedelta(days=n)).date()
        case "timestamp":
            return datetime(2024, 1, 1) + timedelta(hours=n)
        case "list":
            return ["One", "Two, too"] if label.startswith("option") else [f"one{n}", "zwei"]
        case _:
            return None


RULES: dict[str, Rules] = {"automation": "timed", "macro": "macro", "view": "view", "sla_policy": "sla"}
RULES |= {"schedule": "schedule", "form_condition": "form"}


def rule(kind_name: str, n: int, text: str, ids: dict[str, list[str]]) -> str:
    """Return a made-up rule of no vendor's, which most can hold, and which names a group where there is one."""
    kind: Rules = RULES.get(kind_name, "trigger")
    asked: tuple[Condition, ...] = (Is(path=path("ticket.priority"), values=(Lit(value="low"),)),)
    done: tuple[Action, ...] = (SetField(path=path("ticket.priority"), value=Lit(value="high")),)
    groups = ids.get("group") or []
    more: dict[str, Any] = {}
    if kind == "trigger":
        asked = (Event(kinds=("created",)), *asked)
        body = Template(parts=(Said(text=f"{text} "), Var(meaning="ticket.number", name="number")))
        to = (Recipient(who="group", id=groups[n % len(groups)]),) if groups else (Recipient(who="requester"),)
        done = (*done, Mail(to=to, subject=Template(parts=(Said(text=f"Rule {n}"),)), body=body))
    elif kind == "timed":
        asked = (*asked, Is(path=path("ticket.status"), values=(Lit(value="pending"),)))
        asked = (*asked, Elapsed(anchor="status:pending", op="gt", hours=24 + n))
    elif kind == "view":
        more = {"view": View(columns=("number", "subject"), sort_by="created", sort_order="desc")}
    elif kind == "sla":
        asked = (
            (Is(path=path("ticket.group"), values=(Ref(kind="group", id=groups[n % len(groups)]),)),) if groups else ()
        )
        words = ("low", "normal", "high", "urgent")
        more = {"targets": tuple(Target(metric="first_reply", priority=w, seconds=3600, business=False) for w in words)}
    elif kind == "schedule":
        zone = (("time_zone", '"Europe/Berlin"'),)
        asked, more = (), {"shifts": (Shift(begins=1980, ends=2460),), "options": zone}
    elif kind == "form":
        asked = ()
    acts = done if kind in ("trigger", "timed", "macro") else ()
    made = Rule(vendor="nobody", kind=kind, name="", when=All(of=asked if kind != "macro" else ()), do=acts, **more)
    return json.dumps(marked(made.model_dump(mode="json", exclude=set(BESIDE))), ensure_ascii=False, sort_keys=True)


def _text(kind_name: str, kind: Kind, label: str, n: int, text: str) -> str:
    if label == "email":
        return f"{kind_name}{n}@{'abcdefghij'[n % 10]}.example"
    if label in kind.match or label == kind.label:
        return f"{text} {n}" if len(text) < 200 else f"{n} {text}"
    return f"{text} {n}" if label == "external_id" else text


def _words(suite: Suite, kind_name: str, label: str) -> list[str]:
    """Return the canonical words a field may hold, as the vendor's own mapping lists them."""
    words: dict[str, None] = {}
    for variant in suite.connector.mapping.kinds.get(kind_name, ()):
        verb: Verb | None = variant.fields.get(label)
        if verb and verb.values:
            words.update(dict.fromkeys(str(v) for v in verb.values.values()))
        if verb and verb.constant is not None and isinstance(verb.constant, str):
            words[verb.constant] = None
    return list(words)
