"""Made-up zones whose records fit each other, for the conformance suite of connectors that hold DNS."""

from __future__ import annotations

from typing import Any

from migrator.compile import name
from migrator.kinds import Kinds
from migrator.stage import Stage
from migrator.workspace import Workspace
from migrator.zones.records import RecordSet, record_set

ZONES = ("one.example.", "xn--mnchen-3ya.example.", "three.example.")


def sets(zone: str) -> list[RecordSet]:
    """Return a zone's sets, of types that every vendor takes."""
    made: list[tuple[str, str, int, list[str]]] = [
        ("@", "A", 300, ["192.0.2.1", "192.0.2.2"]),
        ("@", "MX", 3600, [f"10 mail.{zone}", "20 mx.elsewhere.example."]),
        ("@", "TXT", 3600, ['"v=spf1 ip4:192.0.2.0/24 -all"', '"semi;colon"', '"gr\\195\\188n"']),
        ("@", "CAA", 3600, ['0 issue "letsencrypt.org"']),
        ("mail", "A", 600, ["192.0.2.25"]),
        ("www", "CNAME", 3600, [zone]),
        ("*", "AAAA", 3600, ["2001:db8::1"]),
        ("_sip._tcp", "SRV", 3600, [f"10 60 5060 mail.{zone}"]),
        ("k1._domainkey", "TXT", 3600, ['"' + "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A" * 12 + '"']),
    ]
    return [record_set(zone, label, type, ttl, values) for label, type, ttl, values in made]


def made(
    stage: Stage, kinds: Kinds, workspace: Workspace, beside: dict[str, list[dict[str, Any]]] | None = None
) -> None:
    """Fill the stage's ``canonical`` schema; ``beside``: records of other kinds."""
    stage.schema("canonical", "blobs", fresh=True)
    held: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds.kinds} | (beside or {})
    held["zone"] = [{"id": zone, "name": zone} for zone in ZONES]
    for zone in ZONES:
        held["record_set"] += [{**one.body(), "zone_name": zone} for one in sets(zone)]
    for kind_name, kind in kinds.kinds.items():
        stage.run(f"CREATE TABLE canonical.{name(kind_name)} (id VARCHAR, variant VARCHAR, {stage.columns(kind)})")
        rows = [[one["id"], kind_name, *(one.get(column) for column in kind.fields)] for one in held[kind_name]]
        stage.insert(f"canonical.{name(kind_name)}", rows)
