"""One made-up account on its way into an empty one: planned, loaded, read back."""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from migrator.compile import name
from migrator.connector import Raw
from migrator.delivery import Deliverer
from migrator.errors import ForbiddenError, VendorError
from migrator.extract import canonicalize
from migrator.kinds import Kinds
from migrator.ledger import Ledger
from migrator.load import Loaded, Loader
from migrator.manifest import Manifest
from migrator.plan import Plan, Planner
from migrator.seals import scheme
from migrator.stage import Stage
from migrator.switches import quiet
from migrator.testing.conformance.ground import Ground
from migrator.testing.conformance.made_up import account
from migrator.testing.conformance.suite import Suite
from migrator.verify import Verified, compare, discrepancies
from migrator.workspace import Workspace

_numbers = itertools.count()
Made = Callable[[Stage, Kinds, Workspace], None]  # fills the stage's ``canonical`` schema


@dataclass
class Run:
    """One made-up account on its way into an empty one."""

    suite: Suite
    folder: Path
    ground: Ground
    stage: Stage
    ledger: Ledger
    workspace: Workspace
    plan: Plan
    secrets: tuple[str, ...] = ()  # of the made-up records, which lie open in no ledger
    destination: Deliverer = field(init=False)

    def __post_init__(self) -> None:
        self.destination = self.ground.open()

    def load(self) -> Loaded:
        """Load the plan, resuming as often as a fault ends the run, as a person would."""
        connector = self.suite.connector
        for _ in range(4):
            loader = Loader(
                self.stage,
                self.ledger,
                self.workspace,
                connector.kinds,
                connector.manifest,
                connector.mapping,
                self.destination,
                "conformance",
                workers=1,
                sleep=self.ground.clock.sleep,
                now=self.ground.clock.now,
                monotonic=self.ground.clock.monotonic,
            )
            try:
                with quiet(self.destination, self.ledger, self.ground.clock.now()):
                    return loader.load(self.plan.digest, {})
            except VendorError:
                continue
        raise AssertionError("the load did not come to an end after four attempts")

    def verify(self) -> tuple[Verified, list[dict[str, Any]]]:
        """Read the account back and compare."""
        connector = self.suite.connector
        self.ground.clock.sleep(1 + max(stream.lag_seconds for stream in connector.manifest.streams.values()))
        stage_all(self.destination, self.stage, "back", self.workspace)
        canonicalize(self.stage, connector.kinds, connector.mapping, raw="back", into="back_canonical")
        self._bytes()
        verified = compare(self.stage, self.ledger, connector.kinds, connector.manifest, connector.mapping)
        return verified, discrepancies(self.stage, connector.kinds)

    def _bytes(self) -> None:
        for kind_name, kind in self.suite.connector.kinds.kinds.items():
            for label, spec in kind.fields.items():
                if spec.type == "blob":
                    for id, url in self.stage.rows(
                        f"SELECT id, url FROM back_canonical.{name(kind_name)} WHERE url IS NOT NULL"
                    ):
                        digest = hashlib.sha256(b"".join(self.destination.blob(url))).hexdigest()
                        self.stage.run(
                            f"UPDATE back_canonical.{name(kind_name)} SET {name(label)} = ? WHERE id = ?", digest, id
                        )

    def held(self) -> dict[str, int]:
        """Return how many records the account holds, by its own count."""
        return self.ground.held(self.destination.streams())

    def again(self) -> Run:
        """Return the same plan, about to be loaded into another empty account."""
        ledger = Ledger(self.folder / f"ledger{next(_numbers)}.sqlite")
        empty = self.suite.empty()
        return Run(self.suite, self.folder, empty, self.stage, ledger, self.workspace, self.plan, self.secrets)

    def close(self) -> None:
        """Let go of the files. Raises AssertionError where a secret lies open in a ledger."""
        self.stage.close()
        self.ledger.close()
        held = b"".join(file.read_bytes() for file in self.folder.glob("ledger*"))
        assert not [scheme(one) for one in self.secrets if one[-40:].encode() in held], "a secret is in the ledger"


KEY = "file:suite.key"
There = dict[str, list[Raw]]  # what an account held, by stream


@dataclass(frozen=True)
class _Planned:
    """A suite's made-up account, planned against an empty one: for each law that begins with an account like that."""

    suite: Suite
    there: There
    files: dict[Path, bytes]  # of the workspace, by their place in it
    plan: Plan
    secrets: tuple[str, ...]


_last: list[_Planned] = []  # of the suite whose laws are being tried


def begin(suite: Suite, folder: Path, made: Made | None = None) -> Run:
    """Make up an account (or let ``made`` do it) and plan it against the connector."""
    folder = folder / f"run{next(_numbers)}"
    folder.mkdir(parents=True)
    workspace, made = Workspace(folder, KEY), made or suite.made
    if made and (suite.ground or made is not suite.made):  # it may do something at a server, each time
        with Stage(workspace.stage) as stage:
            made(stage, suite.connector.kinds, workspace)
            secrets = _seal(stage, suite.connector.kinds, workspace)
            ground = suite.empty()
            plan = _plan(suite, stage, read_all(ground.open()), workspace)
        return _run(suite, workspace, ground, plan, secrets)
    ground = suite.empty()
    there = read_all(ground.open())
    if not _last or (_last[0].suite, _last[0].there) != (suite, there):
        with Stage(workspace.stage) as stage:
            (made or partial(_made_up, suite))(stage, suite.connector.kinds, workspace)
            secrets = _seal(stage, suite.connector.kinds, workspace)
            plan = _plan(suite, stage, there, workspace)
        files = {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        _last[:] = [_Planned(suite, there, files, plan, secrets)]
    for place, held in _last[0].files.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(held)
    return _run(suite, workspace, ground, _last[0].plan, _last[0].secrets)


def _plan(suite: Suite, stage: Stage, there: There, workspace: Workspace) -> Plan:
    connector = suite.connector
    put_all(there, connector.manifest, stage, "there", workspace)
    canonicalize(stage, connector.kinds, connector.mapping, raw="there", into="found")
    plan = Planner(stage, connector.kinds, connector.manifest, connector.mapping, "conformance", "found").make()
    assert not plan.unaccounted, f"records without a disposition: {plan.unaccounted}"
    return plan


def _seal(stage: Stage, kinds: Kinds, workspace: Workspace) -> tuple[str, ...]:
    """Seal the secrets of made-up records, as an extract does; return those that are of a known scheme."""
    sealed = []
    for kind_name, kind in kinds.kinds.items():
        for label in [name(label) for label, spec in kind.fields.items() if spec.secret and spec.type == "text"]:
            relation = f"canonical.{name(kind_name)}"
            for id, secret in stage.rows(f"SELECT id, {label} FROM {relation} WHERE {label} IS NOT NULL"):
                stage.run(f"UPDATE {relation} SET {label} = ? WHERE id = ?", workspace.vault.seal(secret), id)
                sealed.append(secret)
    return tuple(one for one in sealed if scheme(one) != "UNKNOWN")


def _run(suite: Suite, workspace: Workspace, ground: Ground, plan: Plan, secrets: tuple[str, ...]) -> Run:
    stage, ledger = Stage(workspace.stage), Ledger(workspace.ledger)
    return Run(suite, workspace.folder, ground, stage, ledger, workspace, plan, secrets)


def _made_up(suite: Suite, stage: Stage, kinds: Kinds, workspace: Workspace) -> None:
    account(stage, suite)
    held = hashlib.sha256(suite.blob).hexdigest()
    workspace.blob(held).parent.mkdir(parents=True, exist_ok=True)
    workspace.blob(held).write_bytes(suite.blob)
    for kind_name, kind in kinds.kinds.items():
        for label, spec in kind.fields.items():
            if spec.type == "blob":
                stage.run(f"UPDATE canonical.{name(kind_name)} SET {name(label)} = ?", held)


def read_all(source: Deliverer) -> dict[str, list[Raw]]:
    """Return every record of every stream, as they came, those that came along with other streams too."""
    came: dict[str, list[Raw]] = defaultdict(list)

    def ids(parent: str) -> list[str]:
        return sorted({record.id for record in came[parent]}, key=lambda id: (len(id), id))

    for stream in source.streams():
        try:
            for page in source.pages(stream, None, ids):
                for other, records in {**page.also, stream: page.records}.items():
                    came[other] += records
        except ForbiddenError:
            if not source.manifest.streams[stream].optional:
                raise
    return {stream: came[stream] for stream in source.streams()}


def stage_all(source: Deliverer, stage: Stage, dataset: str, workspace: Workspace) -> None:
    """Stage every stream without dlt (small accounts only), secrets sealed."""
    put_all(read_all(source), source.manifest, stage, dataset, workspace)


def put_all(came: There, manifest: Manifest, stage: Stage, dataset: str, workspace: Workspace) -> None:
    """Stage records that were read, by stream, secrets sealed."""
    stage.schema(dataset, fresh=True)
    for stream, records in came.items():
        once = {record.id: record for record in records}
        relation = stage.raw(dataset, stream)
        paths = manifest.streams[stream].sealed
        bodies = [workspace.vault.sealed(r.body, paths) if paths else r.body for r in once.values()]
        rows = zip(once.values(), bodies, strict=True)
        stage.insert(relation, [(r.id, r.parent, r.updated_at, body.decode()) for r, body in rows])
