"""SLA policies of Chatwoot's enterprise edition: three times and no condition; a rule gives one to a conversation.

A conversation keeps the policy that it was given first, whatever becomes of its priority.
"""

from __future__ import annotations

import json
from typing import Any

from migrator.rules.conditions import leaves
from migrator.rules.notebook import Notebook
from migrator.rules.rule import Rule, Target
from migrator.rules.verdicts import Translation

from . import names

Native = dict[str, Any]
CLICK = "Settings, SLA (enterprise edition); Settings, Automation: the action “Add SLA”"
GIVEN = "a rule gives it to conversations, which keep the first they are given; make that rule"
NO_PRIORITY = "conversations of any priority"


def policy(source: Rule, book: Notebook) -> Translation:
    """Return a policy for each priority that is promised something; one of Chatwoot's own as it was."""
    if source.vendor == "chatwoot":
        held = {key: json.loads(value) for key, value in (*source.kept, *source.unknown)}
        return book.done({**_body(source, source.targets), **held})
    for key, value in source.options:
        book.add("rule", f"{key}: {value}", "approximated", "a setting of the old vendor")
    if source.position is not None:
        book.add("rule", f"position {source.position}", "equivalent", "policies there have no order; rules give them")
    book.add("rule", source.name, "approximated", GIVEN, CLICK)
    for leaf in leaves(source.when):
        book.leaf(leaf, "approximated", GIVEN, click=CLICK)
    by_priority: dict[str, list[Target]] = {}
    for target in source.targets:
        said = f"{target.metric.replace('_', ' ')} of {target.priority or NO_PRIORITY}"
        if target.metric not in names.THRESHOLDS:
            book.add("rule", said, "approximated", "no such time there: first answer, next answer, resolution", CLICK)
        else:
            book.add("rule", said, "exact")
            by_priority.setdefault(target.priority, []).append(target)
    made = [_body(source, tuple(some)) for some in by_priority.values()]
    for priority, native in zip(by_priority, made, strict=True):
        native["only_during_business_hours"] = _business(by_priority[priority], book)
        named = f"apply “{source.name}” ({priority or NO_PRIORITY})"
        book.need("automation rule", named, "no policy there acts before a rule gives it to a conversation")
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
