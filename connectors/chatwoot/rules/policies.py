"""SLA policies of Chatwoot's enterprise edition: three times and no condition; a rule gives one to a conversation.

A conversation keeps the policy that it was given first, whatever becomes of its priority (add_sla of
enterprise/app/services/enterprise/action_service.rb, read 2026-11-27). So rules in the order of the policies give the
first that fits, as other desks choose it. They are made with the policy where its filter can be said there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from migrator.rules.conditions import All, Is, Lit, leaves, path
from migrator.rules.notebook import Notebook
from migrator.rules.references import OWN, mark, marks
from migrator.rules.rule import Rule, SetField, Target
from migrator.rules.verdicts import NEEDED, Need, Translation

from . import names
from .conditions import Conditions

Native = dict[str, Any]
CLICK = "Settings, SLA (enterprise edition); Settings, Automation: the action “Add SLA”"
GIVEN = "a rule gives it to conversations, which keep the first they are given; make that rule"
GIVES = "rules made with it give it to conversations, which keep the first they are given, whatever becomes of them"
NO_PRIORITY = "conversations of any priority"
RULE = "automation rule"
GIVE = "add_sla"
GOOD = ("exact", "equivalent")


def policy(source: Rule, book: Notebook) -> Translation:
    """Return a policy for each priority that is promised something; one of Chatwoot's own as it was."""
    if source.vendor == "chatwoot":
        held = {key: json.loads(value) for key, value in (*source.kept, *source.unknown)}
        return book.done({**_body(source, source.targets), **held})
    for key, value in source.options:
        book.add("rule", f"{key}: {value}", "approximated", "a setting of the old vendor")
    if source.position is not None:
        book.add("rule", f"position {source.position}", "equivalent", "policies there have no order; rules give them")
    by_priority: dict[str, list[Target]] = {}
    for target in source.targets:
        said = f"{target.metric.replace('_', ' ')} of {target.priority or NO_PRIORITY}"
        if target.metric not in names.THRESHOLDS:
            book.add("rule", said, "approximated", "no such time there: first answer, next answer, resolution", CLICK)
        else:
            book.add("rule", said, "exact")
            by_priority.setdefault(target.priority, []).append(target)
    made = [_body(source, tuple(some)) for some in by_priority.values()]
    given = True
    for at, (priority, native) in enumerate(zip(by_priority, made, strict=True), 1):
        native["only_during_business_hours"] = _business(by_priority[priority], book)
        named = f"apply “{source.name}” ({priority or NO_PRIORITY})"
        rules = list(_giving(source, priority, named, mark("sla_policy", f"{OWN}{at}"), book, told=at == 1))
        given = given and bool(rules)
        for rule in rules:
            book.need(RULE, rule["name"], "no policy there acts before a rule gives it to a conversation", rule)
        if not rules:
            book.need(RULE, named, "no policy there acts before a rule gives it to a conversation")
    if made:
        book.add("rule", source.name, "approximated", GIVES if given else GIVEN, CLICK)
    if len(made) > 1:
        book.add("rule", "times by priority", "equivalent", f"becomes {len(made)} policies, one for each priority")
    if not made:
        book.add("rule", source.name, "untranslatable", "none of its times is kept there", CLICK)
    return book.done(*made)


def _business(targets: list[Target], book: Notebook) -> bool:
    """Return whether business hours are counted, which is one answer for all times of a policy."""
    if len({target.business for target in targets}) > 1:
        book.add("rule", "hours", "approximated", "all times of a policy count alike there: around the clock", CLICK)
    return all(target.business for target in targets)


def _body(source: Rule, targets: tuple[Target, ...]) -> Native:
    body: Native = {"name": source.name, "only_during_business_hours": any(one.business for one in targets)}
    if source.description:
        body["description"] = source.description
    times = dict.fromkeys(names.THRESHOLDS.values())
    return body | times | {names.THRESHOLDS[one.metric]: float(one.seconds) for one in targets}


def _giving(source: Rule, priority: str, named: str, policy: str, book: Notebook, *, told: bool) -> Iterator[Native]:
    """Yield the rules that give a policy to new and changed conversations; none where they cannot ask its filter.

    ``told``: what is said of the filter is noted, which is once enough.
    """
    asked = (Is(path=path("ticket.priority"), values=(Lit(value=priority),)),) if priority else ()
    gives = SetField(path=path("ticket.sla_policy"), value=None)
    rule = Rule(vendor=source.vendor, kind="trigger", name=named, when=All(of=(source.when, *asked)), do=(gives,))
    own = Notebook(rule, book.vendor)
    shapes = Conditions(own, own=False).shapes(rule.when)
    good = own.done().verdict in GOOD
    for one in own.needs.values() if good else ():
        book.need(one.kind, one.name, one.because, one.native)
    if told:
        _note(source, own, book, good=good)
    for shape in shapes if good else ():
        event = "new" if shape["event_name"] == names.EVENT_NAMES["created"] else "changed"
        done = {"action_name": GIVE, "action_params": [f"<sla_policy:{policy}>"]}
        yield {"name": f"{named}, {event}", **shape, "actions": [done]}


def _note(source: Rule, own: Notebook, book: Notebook, *, good: bool) -> None:
    """Note what a rule makes of a policy's filter: as well as it does, or why a person makes that rule."""
    if good:
        book.moved.update(own.moved)
        book.findings += own.findings
        return
    why = next((f"{one.what}: {one.note}" for one in own.findings if one.verdict not in GOOD and one.note), "")
    for leaf in leaves(source.when):
        book.leaf(leaf, "approximated", f"{GIVEN} ({why})" if why else GIVEN, click=CLICK)


def provided(need: Need) -> tuple[str, str, Native] | str:
    """Return the rule that gives a policy, as a record of the plan; what else is needed is a person's."""
    if need.kind != RULE or not need.native:
        return ""
    (given,) = need.native["actions"][0]["action_params"]
    whose = ", ".join(id for _, id in marks(given))
    id = f"{NEEDED}{need.name} ({whose})"  # two policies may have one name
    rule = json.dumps({key: held for key, held in need.native.items() if key != "name"}, ensure_ascii=False)
    return "trigger", id, {"name": need.name, "rule": rule}
