"""A unit is open on its way to the vendor and nowhere else: not in what stood there before, an answer, or an error."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from migrator import registry
from migrator.connector import AS_IS, Outcome, Unit, Written
from migrator.errors import AccessError, InputError, RefusedError
from migrator.kinds import Field
from migrator.ledger import Ledger
from migrator.load import Loader
from migrator.manifest import Keep
from migrator.mapping import Verb
from migrator.seals import TELLING
from migrator.stage import Stage
from migrator.units import Builder
from migrator.workspace import Workspace

pytestmark = pytest.mark.unit
OLD, NEW = "$6$0ldsalt$" + "o" * 86, "{SHA512-CRYPT}$6$newsalt$" + "n" * 86
PLANNED = (
    "kind VARCHAR, id VARCHAR, as_kind VARCHAR, variant VARCHAR, action VARCHAR, target VARCHAR, unit VARCHAR, "
    "lane VARCHAR, owner VARCHAR, blob VARCHAR, stamp VARCHAR, payload VARCHAR, place INTEGER"
)


class Keeper:
    """A destination that keeps what it is sent, and answers as it is told."""

    def __init__(self, answer: Callable[[Unit], Outcome]) -> None:
        self.answer, self.sent = answer, list[dict[str, Any]]()

    def most(self, kind: str, variant: str, action: str) -> int:
        return 1

    def before(self, unit: Unit) -> dict[str, Any]:
        return {"name": "Ann", "password": OLD}

    def write(self, units: Sequence[Unit]) -> Sequence[Outcome]:
        self.sent += [dict(unit.payload) for unit in units]
        return [self.answer(unit) for unit in units]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage.duckdb") as opened:
        opened.schema("plan")
        opened.table("plan.planned", PLANNED)
        yield opened


def plan(stage: Stage, kind: str, action: str, payload: Any, blob: str | None = None) -> None:
    row = [kind, "a", kind, kind, action, "7", f"{kind}:a", "l", None, blob, None, json.dumps(payload), 1]
    stage.insert("plan.planned", [row])


def loader(stage: Stage, ledger: Ledger, folder: Path, answer: Callable[[Unit], Outcome]) -> tuple[Loader, Keeper]:
    connector, keeper = registry.connector("ispconfig"), Keeper(answer)
    there: Any = keeper
    made = Loader(
        stage, ledger, Workspace(folder), connector.kinds, connector.manifest, connector.mapping, there, "x", workers=1
    )
    made.plan = "p"
    return made, keeper


def files(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def test_what_stood_there_before_is_noted_sealed_and_put_back_open(stage: Stage, tmp_path: Path) -> None:
    vault = Workspace(tmp_path).vault
    plan(stage, "mailbox", "update", {"name": "Ann", "password": vault.seal(NEW)})
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        run, keeper = loader(stage, ledger, tmp_path, lambda unit: Written(unit.there))
        assert run.carry_out().finished
        assert keeper.sent == [{"name": "Ann", "password": NEW}]
        [(_, _, before)] = ledger.changed_by("p")
        assert before == {"name": "Ann", "password": vault.seal(OLD)}
        stage.run("DELETE FROM plan.planned")
        plan(stage, "mailbox", "update", {AS_IS: before})
        back, keeper = loader(stage, ledger, tmp_path, lambda unit: Written(unit.there))
        back.plan = "back"
        assert back.carry_out().finished
        assert keeper.sent == [{"name": "Ann", "password": OLD}]
    assert not [secret for secret in (OLD, NEW) if secret[-60:].encode() in files(tmp_path)]


def test_an_answer_that_repeats_the_secret_is_kept_without_it(stage: Stage, tmp_path: Path) -> None:
    plan(stage, "mailbox", "create", {"name": "Ann", "password": Workspace(tmp_path).vault.seal(NEW)})

    def refuse(unit: Unit) -> Outcome:
        return RefusedError(f"password {unit.payload['password'][:60]}", answer=json.dumps(unit.payload))

    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        run, keeper = loader(stage, ledger, tmp_path, refuse)
        assert run.carry_out().quarantined == 1
        [(_, _, answer, payload)] = ledger.quarantined("p")
    assert keeper.sent[0]["password"] == NEW
    assert answer.startswith("password ")
    assert "Ann" in answer
    assert "nnnnnnnnnnnn" not in answer + payload


def test_an_error_that_ends_the_run_tells_no_secret(stage: Stage, tmp_path: Path) -> None:
    plan(stage, "mailbox", "create", {"name": "Ann", "password": Workspace(tmp_path).vault.seal(NEW)})

    def forbid(unit: Unit) -> Outcome:
        raise AccessError(f"may not add {unit.payload}") from ValueError(unit.payload["password"])

    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        run, _ = loader(stage, ledger, tmp_path, forbid)
        with pytest.raises(AccessError, match="may not add") as told:
            run.carry_out()
        assert ledger.in_doubt("p") == []
    assert "nnnnnnnnnnnn" not in f"{told.value} {told.value.__cause__}"


def test_a_secret_file_is_handed_over_open(stage: Stage, tmp_path: Path) -> None:
    workspace, data = Workspace(tmp_path), b"-----BEGIN PRIVATE KEY-----"
    held = workspace.sealed_blob(hashlib.sha256(data).hexdigest())
    held.parent.mkdir(parents=True)
    held.write_bytes(workspace.vault.seal_bytes(data))
    plan(stage, "certificate", "create", {"names": ["x.example"]}, held.stem)
    connector = registry.connector("cpanel_archive")
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        builder = Builder(stage, ledger, workspace, connector.kinds, connector.manifest, connector.mapping, "x")
        [rows] = builder.units(["certificate:a"])
        unit = builder.build(rows)
    assert unit.blob is not None
    assert unit.blob.read_bytes() == data
    assert workspace.folder not in unit.blob.parents


def test_every_secret_field_is_read_from_paths_that_are_sealed_and_no_other_field_is() -> None:
    """In every connector: in such a stream whatever is called as a secret is sealed too."""
    counted = 0
    for vendor in registry.vendors():
        connector = registry.connector(vendor)
        for kind, variants in connector.mapping.kinds.items():
            for variant in variants:
                for label, verb in variant.fields.items():
                    spec: Field = connector.kinds.kinds[kind].fields[label]
                    if spec.secret and spec.type == "text":
                        counted += 1
                        within = f"{variant.each}." if variant.each else ""
                        assert f"{within}{verb.path}" in connector.manifest.streams[variant.stream].sealed, vendor
                    elif connector.manifest.streams[variant.stream].sealed:
                        assert not any(TELLING.search(path) for path in verb.reads), (vendor, kind, label)
    assert counted >= 10


@pytest.mark.parametrize(
    ("vendor", "kind", "change"),
    [("ispconfig", "mailbox", Keep(max=20)), ("ispconfig", "mailbox", Keep(matches="x")), ("zendesk", "ticket", None)],
)
def test_a_manifest_that_looks_into_a_secret_or_speaks_of_schemes_elsewhere_is_refused(
    vendor: str, kind: str, change: Keep | None
) -> None:
    connector = registry.connector(vendor)
    write = next(one for one in connector.manifest.writes if one.kind == kind)
    fields = {**write.fields, "password_hash": change} if change else {"subject": Keep(schemes=("MD5-CRYPT",))}
    manifest = connector.manifest.model_copy(update={"writes": (write.model_copy(update={"fields": fields}),)})
    with pytest.raises(InputError, match="schemes"):
        registry._agree(manifest, connector.mapping, connector.kinds, "connector.yaml")


def test_a_stream_does_not_keep_mere_fingerprints_of_what_is_to_be_written() -> None:
    connector = registry.connector("ispconfig")
    streams = connector.manifest.streams
    odd = {**streams, "mail_user": streams["mail_user"].model_copy(update={"secrets": ("x",)})}
    with pytest.raises(InputError, match=r"mail_user.*password"):
        registry.sealing(connector.manifest.model_copy(update={"streams": odd}), connector.mapping, connector.kinds)


def test_a_secret_is_mapped_by_a_path_alone() -> None:
    from migrator.mapping import check

    connector = registry.connector("ispconfig")
    [variant] = connector.mapping.kinds["mailbox"]
    for verb in (Verb(path="password", none=("x",)), Verb(path="@id"), Verb(constant="x")):
        odd = variant.model_copy(update={"fields": {**variant.fields, "password_hash": verb}})
        mapping = connector.mapping.model_copy(update={"kinds": {"mailbox": (odd,)}})
        with pytest.raises(InputError, match="password_hash"):
            check(mapping, connector.kinds, "x.yaml")
