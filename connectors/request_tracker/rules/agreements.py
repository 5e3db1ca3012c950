"""What a person puts on Request Tracker's own machine: levels of service and working hours for its configuration, lines
for its crontab.

Source: RT_Config.pm (%ServiceAgreements), lib/RT/SLA.pm and lib/RT/Action/SLA_SetDue.pm of 5.0.3, read 2026-11-27.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from migrator.rules.clock import Calendar
from migrator.rules.conditions import leaves
from migrator.rules.notebook import Notebook
from migrator.rules.rule import Target
from migrator.rules.verdicts import Translation

from . import hours
from .perl import quoted

Native = dict[str, Any]
SLA_FILE, CRON_FILE = "migrator_sla.pm", "migrator_crontab"
CLICK = "RT_SiteConfig.d on the server; then Admin, Queues, the queue: Enable SLA"
GIVEN = "a ticket has the level that its queue, an agent or a scrip gives it: QueueDefault, or the field SLA"
ANYTHING = "any priority"
# Our metric to (their deadline, statuses in which its clock stands still).
METRICS: dict[str, tuple[str, tuple[str, ...]]] = {
    "first_reply": ("Response", ()),
    "next_reply": ("Response", ()),
    "periodic_update": ("KeepInLoop", ()),
    "update": ("KeepInLoop", ()),
    "pausable_update": ("KeepInLoop", ("stalled",)),
    "requester_wait": ("Resolve", ("stalled",)),
    "agent_work": ("Resolve", ("stalled", "hold")),
    "resolution": ("Resolve", ()),
}
HEAD = """# Levels of service, drafted by migrator: look them over, put this file into RT_SiteConfig.d, restart.
# There can be one %ServiceAgreements only: where you have one, put these levels into it.
"""
UNTOLD = """# Working hours are those of %ServiceBusinessHours: Monday to Friday from 9:00 to 18:00 until you set them.
"""
TOLD = f"""# Working hours are the old desk's first schedule, which stands in {hours.HOURS_FILE}.
"""
UTF8 = "use utf8;\n"


def levels(book: Notebook, why: str) -> Native:
    """Return the levels of a policy, one for each priority that is promised something."""
    source = book.rule
    book.add("rule", source.name, "untranslatable", why, CLICK)
    for key, value in source.options:
        book.add("rule", f"{key}: {value}", "approximated", "a setting of the old vendor")
    for leaf in leaves(source.when):
        book.leaf(leaf, "approximated", GIVEN, click=CLICK)
    made: Native = {}
    for priority in dict.fromkeys(target.priority for target in source.targets):
        name = f"{source.name} ({priority})" if priority else source.name
        made[name] = _level(book, [one for one in source.targets if one.priority == priority])
    return {"Name": source.name, "Levels": made}


def _level(book: Notebook, targets: Sequence[Target]) -> Native:
    level: Native = {}
    for target in sorted(targets, key=lambda one: one.seconds):  # of two that come to one, the shorter counts
        deadline, paused = METRICS[target.metric]
        said = f"{target.metric.replace('_', ' ')} of {target.priority or ANYTHING}"
        made: Native = {"BusinessMinutes" if target.business else "RealMinutes": max(1, target.seconds // 60)}
        if paused:
            made |= {"IgnoreOnStatuses": list(paused), "ExcludeTimeOnIgnoredStatuses": 1}
        if deadline in level:
            same = level[deadline] == made
            note = "" if same else f"{deadline} is one time there: the shorter counts"
            book.add("rule", said, "equivalent" if same else "approximated", note, CLICK)
            continue
        level[deadline] = made
        note = "each answer to a requester is due then, not the first alone" if target.metric == "first_reply" else ""
        alone = not any(other.metric == "next_reply" for other in targets)
        book.add("rule", said, "approximated" if note and alone else "equivalent", note if alone else "", CLICK)
    if level and all("RealMinutes" in one for one in level.values()):
        level = {"StartImmediately": 1, **level}
    return level


def files(made: Sequence[Translation], calendars: Mapping[str, Calendar]) -> dict[str, str]:
    """Return the files of a set of translations and an account's working hours, by their names."""
    found: dict[str, str] = {}
    policies = {
        name: _counted(level, calendars)
        for one in made
        for native in one.native
        for name, level in (native.get("Levels") or {}).items()
    }
    if policies:
        head = HEAD + (TOLD if calendars else UNTOLD) + _beyond(policies, calendars) + UTF8
        found[SLA_FILE] = f"{head}Set( %ServiceAgreements, (\n    Levels => {_perl(policies, 4)},\n));\n1;\n"
    if calendars:
        described = "".join(f"    {quoted(k)} => {_perl(v, 4)},\n" for k, v in hours.described(calendars).items())
        found[hours.HOURS_FILE] = f"{hours.HEAD}Set( %ServiceBusinessHours, (\n{described}));\n1;\n"
    lines: list[str] = []
    for one in made:
        for native in one.native:
            if native.get("Crontab"):
                lines += [f"# {' '.join(one.rule.name.split())}", *map(_line, native["Crontab"])]
    if lines:
        head = "# Drafted by migrator: look over each line, then add it to the crontab of Request Tracker's user."
        found[CRON_FILE] = "\n".join([head, *lines]) + "\n"
    return found


def _counted(level: Native, calendars: Mapping[str, Calendar]) -> Native:
    """Return a level with the working hours it counts by: those of the old desk's first schedule."""
    if not calendars or not any(isinstance(one, dict) and "BusinessMinutes" in one for one in level.values()):
        return level
    name, calendar = next(iter(calendars.items()))
    return {"BusinessHours": name, "Timezone": hours.zone_name(calendar), **level}


def _beyond(policies: Native, calendars: Mapping[str, Calendar]) -> str:
    """Return a line on each level with a time that Business::Hours may find no end of."""
    most = hours.reach(next(iter(calendars.values()))) if calendars else 4 * 5 * 9 * 60
    lines = []
    for name, level in policies.items():
        found = [one["BusinessMinutes"] for one in level.values() if isinstance(one, dict) and "BusinessMinutes" in one]
        if any(minutes > most for minutes in found):
            said = " ".join(name.split())
            lines.append(f"# Mind {said}: it may lie more than 30 days ahead, and due dates are sought no further.\n")
    return "".join(lines)


def _line(text: str) -> str:
    """Return a line of crontab; what would be two is none, since cron would run its second by itself."""
    return text if len(text.splitlines()) == 1 else "# left out: it asks for a text with a line break in it"


def _perl(value: Any, indent: int) -> str:
    """Return data as Perl; every text in single quotes."""
    if isinstance(value, dict):
        inner = " " * (indent + 4)
        lines = [f"{inner}{quoted(key)} => {_perl(held, indent + 4)},\n" for key, held in value.items()]
        return "{\n" + "".join(lines) + " " * indent + "}"
    if isinstance(value, list):
        return f"[{', '.join(_perl(one, indent) for one in value)}]"
    return str(value) if isinstance(value, int) else quoted(str(value))
