"""The rules of real and published accounts, where the vendor data lies, each with its vendor and kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.vendor_data import folder

Native = dict[str, Any]
KINDS = {
    "zendesk": {
        "triggers": "trigger",
        "automations": "timed",
        "macros": "macro",
        "views": "view",
        "sla_policies": "sla",
    },
    "zammad": {"triggers": "trigger", "jobs": "timed", "macros": "macro", "overviews": "view"},
    "chatwoot": {"automation_rules": "trigger"},
    "request_tracker": {"scrips": "trigger"},
}
# Vendors whose rules are written too; of the others they are only read.
WRITTEN = ("chatwoot", "freshdesk", "request_tracker", "zammad", "zendesk")
RECORDED = {
    "zendesk": ("airbyte-zendesk-support-2023-11", "airbyte-zendesk-support-2024-06"),
    "freshdesk": ("airbyte-freshdesk-2023-11", "airbyte-freshdesk-2024-06"),
}
STREAMS = {"triggers": "trigger", "automations": "timed", "macros": "macro", "views": "view", "sla_policies": "sla"}
STREAMS["scenario_automations"] = "macro"


def rules(vendor: str) -> list[tuple[str, str, Native]]:
    """Return (place, kind, rule) of a vendor's published rules; none where the data is absent."""
    return list(_published(vendor)) if (folder() / "rules").is_dir() else []


def _published(vendor: str) -> Iterator[tuple[str, str, Native]]:
    root = folder() / "rules" / {"request_tracker": "rt"}.get(vendor, vendor)
    for name, kind in KINDS.get(vendor, {}).items():
        for at, one in enumerate(_json(root / f"{name}.json")):
            yield f"{name}-{at}", kind, one
    if vendor == "freshdesk":
        for at, one in enumerate(_json(root / "automation_rules.json")):
            yield f"automation-{at}", "timed" if one["rule_type"] == 3 else "trigger", one
        for at, one in enumerate(_json(root / "sla_policies.json")):
            yield f"sla-{at}", "sla", one


def recorded(vendor: str) -> list[tuple[str, str, Native]]:
    """Return (place, kind, rule) of the rules in a vendor's recorded traffic."""
    found: list[tuple[str, str, Native]] = []
    for name in RECORDED.get(vendor, ()):
        file = folder() / vendor / name / "expected_records.jsonl"
        for at, line in enumerate(file.read_text("utf-8").splitlines() if file.is_file() else ()):
            record = json.loads(line)
            if record["stream"] in STREAMS:
                found.append((f"{name}-{at}", STREAMS[record["stream"]], record["data"]))
    if vendor == "zendesk":
        for key, kind in STREAMS.items():
            file = folder() / vendor / "go-zendesk-fixtures" / "GET" / f"{key}.json"
            if file.is_file():
                found += [(f"go-{key}-{at}", kind, one) for at, one in enumerate(_json(file)[key])]
    return found


def _json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))
