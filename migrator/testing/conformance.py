"""The suite every connector passes, ours and other people's. A test file of a few lines runs it::

    from migrator.testing.conformance import Suite, checks

    SUITE = Suite("southdesk")

    @pytest.mark.parametrize("check", checks(SUITE), ids=str)
    def test_conformance(check, tmp_path):
        check(tmp_path)

What it holds a destination to: *create, then read back, equals the prediction*, for made-up records of every kind it
declares, awkward ones among them; nothing is doubled or missing after a fault at any call; refusals end in the
quarantine. What it holds a source to: every record arrives once, whatever the size of a page; strangers are told apart.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from migrator import registry
from migrator.compile import name
from migrator.connector import Raw
from migrator.delivery import Deliverer
from migrator.errors import AccessError, VendorError
from migrator.extract import canonicalize
from migrator.kinds import Field, Kind
from migrator.ledger import Ledger
from migrator.load import Loaded, Loader
from migrator.mapping import Verb
from migrator.plan import Plan, Planner, digest
from migrator.project import Account, Workspace, side
from migrator.registry import Connector
from migrator.stage import Stage
from migrator.testing.sandbox import How, Sandbox, mount
from migrator.verify import Verified, compare, discrepancies

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
_numbers = itertools.count()
FAULTS: tuple[How, ...] = ("429", "500", "503", "reset", "unanswered", "timeout", "truncated", "garbled")
BLOB = b"attachment bytes \x00\xff\n"


@dataclass(frozen=True)
class Suite:
    """What to hold to the law. ``create`` makes an empty sandbox; ``fill`` puts records into it for a source's checks
    (the connector's own ``demo.fill`` if it has one); ``records``: made-up records of each kind; ``step``: every so
    many calls get a fault (1 is all of them)."""

    vendor: str
    create: Callable[[], Sandbox] | None = None
    fill: Callable[[Sandbox], object] | None = None
    records: int = 8
    step: int = 3

    @property
    def connector(self) -> Connector:
        """Return the connector under test."""
        return registry.connector(self.vendor)

    def sandbox(self) -> Sandbox:
        """Return a new, empty sandbox without quotas."""
        return self.create() if self.create else self.connector.sandbox.create(limits=False)

    def open(self, box: Sandbox, *, token: str | None = None) -> Deliverer:
        """Return the account that the sandbox plays."""
        module = self.connector.sandbox
        account = Account(
            vendor=self.vendor, url=box.base_url, settings={"user": getattr(module, "EMAIL", "nobody")}, workers=1
        )
        secrets = dict.fromkeys(self.connector.manifest.secrets, "env:MIGRATOR_CONFORMANCE")
        opened = side(account.model_copy(update={"secrets": secrets}), None, "conformance")
        os.environ["MIGRATOR_CONFORMANCE"] = token if token is not None else module.TOKEN
        return opened.open(session=mount(box), sleep=box.clock.sleep, monotonic=box.clock.monotonic)


@dataclass(frozen=True)
class Check:
    """One law of the suite, callable with a folder to work in; its ``str`` is its name."""

    name: str
    run: Callable[[Path], None]

    def __call__(self, folder: Path) -> None:
        """Hold the connector to this law. Raises AssertionError with what was found."""
        self.run(folder)

    def __str__(self) -> str:
        return self.name


def checks(suite: Suite) -> list[Check]:
    """Return every law that applies to the connector."""
    found = [
        Check("strangers are refused", lambda folder: strangers_are_refused(suite)),
        Check("check finds working credentials", lambda folder: credentials_work(suite)),
    ]
    if suite.fill or (suite.connector.folder / "demo.py").is_file():
        for size in (7, 100):
            found.append(Check(f"pages of {size} bring every record once", _apart(paging_is_complete, suite, size)))
        for how in ("429", "500", "reset", "timeout", "truncated", "garbled"):
            found.append(Check(f"reading survives {how} at any call", _apart(reading_survives, suite, how)))
    if suite.connector.manifest.writes:
        found.append(
            Check("what is read back equals the prediction", lambda folder: reads_back_as_predicted(suite, folder))
        )
        found.append(Check("the second load of a plan writes nothing", lambda folder: loads_once(suite, folder)))
        found.append(
            Check("a refused record lies in quarantine and the rest arrives", lambda folder: refusals(suite, folder))
        )
        for how in FAULTS:
            found.append(
                Check(f"{how} at any write doubles and loses nothing", partial(writing_survives, suite, how=how))
            )
    return found


def _apart(law: Callable[..., None], *values: object) -> Callable[[Path], None]:
    """Return a law that needs no folder as one that is given one."""
    return lambda folder: law(*values)


# ---- made-up records -------------------------------------------------------------------------------------------------


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
        for n, id in enumerate(ids[kind_name]):
            row = {
                label: _value(suite, kind_name, kind, label, spec, n, ids, counter)
                for label, spec in kind.fields.items()
            }
            stage.insert(f"canonical.{name(kind_name)}", [[id, kind_name, *row.values()]])


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
        return allowed[n % len(allowed)]
    text = TEXTS[n % len(TEXTS)]
    match spec.type:
        case "text":
            return _text(kind_name, kind, label, n, text)
        case "html":
            return f'<p>{n}: {text.replace("<", "&lt;")}</p><p><a href="https://old.example/{n}">link</a></p>'
        case "integer":
            return len(BLOB) if label == "size" else n
        case "number":
            return n + 0.5
        case "boolean":
            return n % 2 == 0 if spec.required else False
        case "timestamp":
            return datetime(2024, 1, 1) + timedelta(hours=n)
        case "list":
            return ["One", "Two, too"] if label.startswith("option") else [f"one{n}", "zwei"]
        case _:
            return None


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


# ---- the runs --------------------------------------------------------------------------------------------------------


@dataclass
class Run:
    """One made-up account on its way into a sandbox."""

    suite: Suite
    folder: Path
    box: Sandbox
    stage: Stage
    ledger: Ledger
    workspace: Workspace
    plan: Plan
    destination: Deliverer = field(init=False)

    def __post_init__(self) -> None:
        self.destination = self.suite.open(self.box)

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
                sleep=self.box.clock.sleep,
                now=self.box.clock.now,
                monotonic=self.box.clock.monotonic,
            )
            try:
                return loader.load(self.plan.digest, {})
            except VendorError:
                continue
        raise AssertionError("the load did not come to an end after four attempts")

    def verify(self) -> tuple[Verified, list[dict[str, Any]]]:
        """Read the sandbox back and compare."""
        connector = self.suite.connector
        self.box.clock.sleep(1 + max(stream.lag_seconds for stream in connector.manifest.streams.values()))
        stage_all(self.destination, self.stage, "back")
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
        """Return how many records of each stream that is read the sandbox holds."""
        read = self.destination.streams()
        return {stream: len(records) for stream, records in self.box.store.items() if records and stream in read}

    def again(self) -> Run:
        """Return the same plan, about to be loaded into another new sandbox."""
        ledger = Ledger(self.folder / f"ledger{next(_numbers)}.sqlite")
        return Run(self.suite, self.folder, self.suite.sandbox(), self.stage, ledger, self.workspace, self.plan)

    def close(self) -> None:
        """Let go of the files."""
        self.stage.close()
        self.ledger.close()


def begin(suite: Suite, folder: Path) -> Run:
    """Make up an account and plan it against the connector."""
    folder = folder / f"run{next(_numbers)}"
    folder.mkdir(parents=True)
    workspace, connector = Workspace(folder), suite.connector
    stage, ledger = Stage(workspace.stage), Ledger(workspace.ledger)
    account(stage, suite)
    held = hashlib.sha256(BLOB).hexdigest()
    workspace.blob(held).parent.mkdir(parents=True, exist_ok=True)
    workspace.blob(held).write_bytes(BLOB)
    for kind_name, kind in connector.kinds.kinds.items():
        for label, spec in kind.fields.items():
            if spec.type == "blob":
                stage.run(f"UPDATE canonical.{name(kind_name)} SET {name(label)} = ?", held)
    box = suite.sandbox()
    source = suite.open(box)
    stage_all(source, stage, "there")
    canonicalize(stage, connector.kinds, connector.mapping, raw="there", into="found")
    plan = Planner(stage, connector.kinds, connector.manifest, connector.mapping, "conformance", "found").make()
    assert not plan.unaccounted, f"records without a disposition: {plan.unaccounted}"
    return Run(suite, folder, box, stage, ledger, workspace, plan)


def read_all(source: Deliverer) -> dict[str, list[Raw]]:
    """Return every record of every stream, as they came."""
    came: dict[str, list[Raw]] = {}

    def ids(parent: str) -> list[str]:
        return sorted({record.id for record in came[parent]}, key=lambda id: (len(id), id))

    for stream in source.streams():
        came[stream] = [record for page in source.pages(stream, None, ids) for record in page.records]
    return came


def stage_all(source: Deliverer, stage: Stage, dataset: str) -> None:
    """Stage every stream without dlt (small accounts only)."""
    stage.schema(dataset, fresh=True)
    for stream, records in read_all(source).items():
        once = {record.id: record for record in records}
        relation = stage.raw(dataset, stream)
        stage.insert(relation, [(r.id, r.parent, r.updated_at, r.body.decode()) for r in once.values()])


# ---- the laws --------------------------------------------------------------------------------------------------------


def strangers_are_refused(suite: Suite) -> None:
    """Wrong credentials end in AccessError or a finding, never in empty lists."""
    box = suite.sandbox()
    stranger = suite.open(box, token="not-the-token")
    assert not stranger.check()[0].ok
    stream = next(s for s in stranger.streams() if not suite.connector.manifest.streams[s].parent)
    said = None
    try:
        list(stranger.pages(stream, None, lambda parent: []))
    except AccessError as err:
        said = str(err)
    if said is None:
        raise AssertionError("a stranger was given records")
    assert "not-the-token" not in said


def credentials_work(suite: Suite) -> None:
    """The right credentials and rights are found to be right."""
    findings = suite.open(suite.sandbox()).check()
    assert all(finding.ok for finding in findings), findings


def _filled(suite: Suite) -> Sandbox:
    box = suite.sandbox()
    (suite.fill or suite.connector.part("demo").fill)(box)
    return box


def paging_is_complete(suite: Suite, size: int) -> None:
    """Whatever the size of a page, each record arrives, and none is missing against a reading in large pages."""
    box = _filled(suite)
    whole = {stream: {record.id for record in records} for stream, records in read_all(suite.open(box)).items()}
    small = suite.open(box)
    streams = {
        label: spec.model_copy(update={"paging": spec.paging.model_copy(update={"size": min(size, spec.paging.size)})})
        for label, spec in small.manifest.streams.items()
    }
    small.manifest = small.manifest.model_copy(update={"streams": streams})
    for stream, records in read_all(small).items():
        ids = {record.id for record in records}
        assert ids == whole[stream], (
            f"{stream}: {len(ids)} records in pages of {size}, {len(whole[stream])} in large ones"
        )
        held = {str(id) for id in box.store.get(stream, {})}
        assert held <= ids, f"{stream}: the sandbox holds {len(held)} records, {len(held - ids)} never arrived"


def reading_survives(suite: Suite, how: How) -> None:
    """A fault at every so many calls changes nothing of what arrives."""
    box = _filled(suite)
    whole = _bodies(suite.open(box))
    box.exchanges.clear()
    assert _bodies(suite.open(box)) == whole, "two readings of the same account differ"
    calls = len(box.exchanges)
    for at in range(1, calls, max(1, calls // 8)):
        box.fault(how, at=at)
        found = _bodies(suite.open(box))
        box.faults.clear()
        assert found == whole, f"{how} at call {at}"


def _bodies(source: Deliverer) -> dict[str, dict[str, bytes]]:
    return {stream: {record.id: record.body for record in records} for stream, records in read_all(source).items()}


def reads_back_as_predicted(suite: Suite, folder: Path) -> None:
    """The one law: create, then read back, equals the prediction."""
    run = begin(suite, folder)
    try:
        loaded = run.load()
        assert loaded.quarantined == 0, run.ledger.quarantined()[:3]
        verified, differences = run.verify()
        assert differences == [], differences[:10]
        assert verified.proven
        assert verified.records > 0
    finally:
        run.close()


def loads_once(suite: Suite, folder: Path) -> None:
    """Carrying out a plan that is carried out already writes nothing."""
    run = begin(suite, folder)
    try:
        run.load()
        before = len(run.box.exchanges)
        assert run.load().written == 0
        assert all(exchange.method == "GET" for exchange in run.box.exchanges[before:])
    finally:
        run.close()


def refusals(suite: Suite, folder: Path) -> None:
    """A record the vendor refuses is put aside with the answer; all others that do not hang on it arrive."""
    run = begin(suite, folder)
    try:
        root = next(
            k
            for k in suite.connector.kinds.in_order()
            if (w := suite.connector.manifest.write(k))
            and w.create
            and suite.connector.kinds.root(k) == k
            and k != "custom_field"
        )
        run.stage.run(
            "UPDATE plan.planned SET payload = json_merge_patch(payload, '{\"no_such_field_anywhere\": 1}') "
            "WHERE as_kind = ? AND unit = ?",
            root,
            f"{root}:{root}-0",
        )
        run.plan = replace(run.plan, digest=digest(run.stage, suite.connector.kinds, {}))
        loaded = run.load()
        aside = run.ledger.quarantined()
        if loaded.quarantined == 0:
            return  # this vendor drops unknown fields instead of refusing them
        assert any(unit == f"{root}:{root}-0" and answer for unit, _, answer, _ in aside)
        assert loaded.written + loaded.quarantined == run.plan.units
    finally:
        run.close()


def writing_survives(suite: Suite, folder: Path, how: How) -> None:
    """A fault at every so many writes: in the end the sandbox holds exactly what an undisturbed load leaves."""
    calm = begin(suite, folder)
    try:
        calm.load()
        wanted, writes = calm.held(), sum(e.method != "GET" for e in calm.box.exchanges)
        for at in range(1, writes + 1, suite.step):
            run = calm.again()
            run.box.fault(how, at=at, matching="^(POST|PUT) ")
            loaded = run.load()
            assert loaded.quarantined == 0, (how, at, run.ledger.quarantined()[:2])
            assert run.held() == wanted, f"{how} at write {at}: {run.held()} instead of {wanted}"
            run.ledger.close()
    finally:
        calm.close()
