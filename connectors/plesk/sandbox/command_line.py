"""The utility ``scheduler`` of Plesk's command line, as people use it (see facts.yaml)."""

from __future__ import annotations

import json
import re

from migrator.testing.sandbox import Sandbox

FIELD = r"(\*|\d+(-\d+)?)(/\d+)?"
SCHEDULE = re.compile(rf"{FIELD}(,{FIELD})*( {FIELD}(,{FIELD})*){{4}}")


def scheduler(box: Sandbox, params: list[str]) -> tuple[int, str, str]:
    """Return exit code, what was printed, and the complaint."""
    verb, *rest = params
    id = rest.pop(0) if verb in ("--update", "--delete") else ""
    options: dict[str, str] = {}
    while rest:
        name = rest.pop(0)
        options[name] = "" if name == "-json" else rest.pop(0)
    if options.get("-subscription") != box.state["main"]:
        return 1, "", "Unable to find the subscription."
    tasks = box.store["cron"]
    if verb == "--list":
        return 0, json.dumps(list(tasks.values())), ""
    if verb == "--create":
        task = {
            "id": box.next_id(), "type": options.get("-type", "exec"), "command": options.get("-command", ""),
            "schedule": options.get("-schedule", ""), "active": options.get("-active", "true") == "true",
        }  # fmt: skip
        if not task["command"] or not SCHEDULE.fullmatch(str(task["schedule"])):
            return 2, "", "The schedule or the command is invalid."
        tasks[str(task["id"])] = task
        return 0, "SUCCESS: The task was created.\n", ""
    if id not in tasks:
        return 1, "", "Unable to find the task."
    if verb == "--delete":
        del tasks[id]
        return 0, "SUCCESS\n", ""
    for name in ("command", "schedule"):
        tasks[id][name] = options.get(f"-{name}", tasks[id][name])
    if "-active" in options:
        tasks[id]["active"] = options["-active"] == "true"
    return 0, "SUCCESS\n", ""
