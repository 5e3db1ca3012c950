"""How long does it take to compare 200 rules with their translations on a million tickets?

Invented Zendesk rules over the state of a ticket are translated into Zammad's; both conditions of each pair are asked
of the same table in one scan: how many tickets each takes in, how many only one of them does.

    python benchmarks/rules.py [--tickets 1000000] [--rules 200] [--json FILE]
"""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Any

from _measure import Aim, cpu_seconds, parser, publish, table

from migrator import registry
from migrator.rules.conditions import Condition
from migrator.rules.sql import Moved, agreements, counts
from migrator.stage import Stage

STATUSES = ("new", "open", "pending", "hold", "solved", "closed")
PRIORITIES = ("low", "normal", "high", "urgent")
TAGS = ("vip", "bug", "late", "billing", "spam")
WORDS = ("refund", "invoice", "password", "delivery", "broken")
AIM_SECONDS = 10.0

# A ticket's values follow from its number, so that the table needs no file; nothing is known of some of them.
TICKETS = """
CREATE TABLE ticket AS SELECT
    i AS id,
    ['new', 'open', 'pending', 'hold', 'solved', 'closed'][1 + h(i, 6)] AS "ticket.status",
    ['low', 'normal', 'high', 'urgent', NULL][1 + h(i + 1, 5)] AS "ticket.priority",
    ['question', 'incident', NULL][1 + h(i + 2, 3)] AS "ticket.type",
    CAST(h(i + 3, 40) AS VARCHAR) AS "ticket.group",
    CASE WHEN h(i + 4, 4) > 0 THEN CAST(h(i + 4, 500) AS VARCHAR) END AS "ticket.assignee",
    CAST(h(i + 5, 100000) AS VARCHAR) AS "ticket.requester",
    'the ' || ['refund', 'invoice', 'password', 'delivery', 'broken'][1 + h(i + 6, 5)] || ' of ' || i
        AS "ticket.subject",
    list_filter(['vip', 'bug', 'late', 'billing', 'spam'], lambda tag: h(tag || i, 4) = 0) AS tags,
    h(i + 7, 5000) / 2.0 + 0.25 AS "hours.created",
    CASE WHEN h(i + 8, 3) > 0 THEN h(i + 8, 900) / 2.0 + 0.25 END AS "hours.status:pending"
FROM range($1) AS numbers(i)
"""
COLUMNS = ("status", "priority", "type", "group", "assignee", "requester", "subject")


def condition(dice: random.Random) -> dict[str, Any]:
    """Return one invented condition of Zendesk's."""
    pick = dice.choice
    field, operators, values = pick(
        [
            ("status", ("is", "is_not", "less_than"), STATUSES[1:]),
            ("priority", ("is", "is_not", "greater_than"), PRIORITIES[:3]),
            ("type", ("is", "is_not"), ("question", "incident")),
            ("group_id", ("is", "is_not"), tuple(map(str, range(40)))),
            ("assignee_id", ("is", "is_not"), ("", *map(str, range(500)))),
            ("current_tags", ("includes", "not_includes"), TAGS),
            ("subject_includes_word", ("includes", "not_includes"), WORDS),
            ("NEW", ("greater_than", "less_than"), ("24", "720")),
            ("PENDING", ("greater_than",), ("24", "96")),
        ]
    )
    return {"field": field, "operator": pick(operators), "value": pick(values)}


def pairs(number: int, seed: int = 5) -> tuple[list[tuple[Condition, Condition, Moved]], list[str]]:
    """Return invented rules' conditions with those of their translations, and the verdict on each."""
    zendesk, zammad = registry.dialect("zendesk"), registry.dialect("zammad")
    dice, made, verdicts = random.Random(seed), [], list[str]()
    while len(made) < number:
        every = [condition(dice) for _ in range(dice.randint(1, 4))]
        some = [condition(dice) for _ in range(dice.choice((0, 0, 2, 3)))]
        native = {"title": "a rule", "conditions": {"all": every, "any": some}}
        rule = zendesk.read({**native, "actions": [{"field": "current_tags", "value": "seen"}]}, "timed")
        found = zammad.write(rule)
        if found.verdict == "untranslatable":
            continue
        verdicts.append(found.verdict)
        made.append((rule.when, zammad.read(found.native[0], "timed").when, found.moved))
    return made, verdicts


def main() -> None:
    """Measure both."""
    options = parser(__doc__)
    options.add_argument("--tickets", type=int, default=1_000_000)
    options.add_argument("--rules", type=int, default=200)
    args = options.parse_args()
    began = time.monotonic()
    listed, verdicts = pairs(args.rules)
    translated = time.monotonic() - began
    columns = [*(f"ticket.{one}" for one in COLUMNS), "tags", "hours.created", "hours.status:pending"]
    with Stage(":memory:") as stage:
        stage.run("CREATE MACRO h(x, n) AS CAST(hash(x) % n AS BIGINT)")
        stage.run(TICKETS, args.tickets)
        began = time.monotonic()
        question = counts("ticket", listed, columns)
        compiled = time.monotonic() - began
        seconds, cpu = [], []
        for _ in range(args.repeat):
            began, used = time.monotonic(), cpu_seconds()
            found = agreements(stage.rows(question.sql, *question.values)[0])
            seconds.append(time.monotonic() - began)
            cpu.append(cpu_seconds() - used)
    scan = sorted(seconds)[len(seconds) // 2]
    work = sorted(cpu)[len(cpu) // 2]
    differ = [
        verdict for verdict, one in zip(verdicts, found, strict=True) if one.false_negatives or one.false_positives
    ]
    wrong = len([verdict for verdict in differ if verdict != "approximated"])
    told = ", ".join(f"{count} {verdict}" for verdict, count in Counter(verdicts).items())
    rows = [
        ["read, translated, read back", f"{translated:.2f} s"],
        ["compiled to one statement", f"{compiled:.2f} s"],
        ["compared in one scan", f"{scan:.2f} s, {work:.1f} s of CPU"],
        ["verdicts", told],
        ["approximated pairs that differ on some ticket", f"{len(differ) - wrong}"],
    ]
    aims = [
        Aim("compare all pairs", f"under {AIM_SECONDS:.0f} s", f"{scan:.2f} s", scan < AIM_SECONDS),
        Aim("pairs called exact or equivalent that differ", "none", str(wrong), wrong == 0),
    ]
    results = {"rules": len(found), "tickets": args.tickets, "seconds": seconds, "cpu": cpu, "wrong": wrong}
    title = f"{len(found):,} rules and their translations on {args.tickets:,} tickets"
    publish(args, title, table(["what", "measured"], rows), aims, results | {"translated": translated})


if __name__ == "__main__":
    main()
