"""The laws, and which of them apply to a connector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from migrator.delivery import Deliverer
from migrator.errors import AccessError
from migrator.plan import digest
from migrator.testing.conformance.runs import begin, read_all
from migrator.testing.conformance.suite import Suite

READING = ("429", "500", "reset", "timeout", "truncated", "garbled")  # faults to read under


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
    harms = suite.harms
    if suite.fills:
        for size in (7, 100):
            found.append(Check(f"pages of {size} bring every record once", _apart(paging_is_complete, suite, size)))
        for how in [how for how in harms if how in READING]:
            found.append(Check(f"reading survives {how} at any call", _apart(reading_survives, suite, how)))
    if suite.connector.manifest.writes:
        found.append(
            Check("what is read back equals the prediction", lambda folder: reads_back_as_predicted(suite, folder))
        )
        found.append(Check("the second load of a plan writes nothing", lambda folder: loads_once(suite, folder)))
        found.append(
            Check("a refused record lies in quarantine and the rest arrives", lambda folder: refusals(suite, folder))
        )
        for how in harms:
            found.append(
                Check(f"{how} at any write doubles and loses nothing", partial(writing_survives, suite, how=how))
            )
    return found


def _apart(law: Callable[..., None], *values: object) -> Callable[[Path], None]:
    """Return a law that needs no folder as one that is given one."""
    return lambda folder: law(*values)


# ---- the laws --------------------------------------------------------------------------------------------------------


def strangers_are_refused(suite: Suite) -> None:
    """Wrong credentials end in AccessError or a finding, never in empty lists."""
    stranger = suite.empty().open(token="not-the-token")
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
    findings = suite.empty().open().check()
    assert all(finding.ok for finding in findings), findings


def paging_is_complete(suite: Suite, size: int) -> None:
    """Whatever the size of a page, each record arrives, and none is missing against a reading in large pages."""
    ground = suite.filled()
    whole = {stream: {record.id for record in records} for stream, records in read_all(ground.open()).items()}
    small = ground.open()
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
        held = ground.ids(stream)
        assert held <= ids, f"{stream}: the account holds {len(held)} records, {len(held - ids)} never arrived"


def reading_survives(suite: Suite, how: str) -> None:
    """A fault at every so many calls changes nothing of what arrives."""
    ground = suite.filled()
    whole = _bodies(ground.open())
    before = len(ground.methods())
    assert _bodies(ground.open()) == whole, "two readings of the same account differ"
    calls = len(ground.methods()) - before
    for at in range(1, calls, max(1, calls // 8)):
        ground.fault(how, at=at)
        found = _bodies(ground.open())
        ground.calm()
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
        before = len(run.ground.methods())
        assert run.load().written == 0
        assert set(run.ground.methods()[before:]) <= {"GET"}
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


def writing_survives(suite: Suite, folder: Path, how: str) -> None:
    """A fault at every so many writes: in the end the account holds exactly what an undisturbed load leaves.

    Each kind of harm begins one write after the one before, so that together they strike every write.
    """
    calm = begin(suite, folder)
    try:
        calm.load()
        wanted, writes = calm.held(), sum(method != "GET" for method in calm.ground.methods())
        first = 1 + suite.harms.index(how) % suite.step
        for at in range(min(first, writes), writes + 1, suite.step):
            run = calm.again()
            run.ground.fault(how, at=at, matching="^(POST|PUT|PATCH) ")
            loaded = run.load()
            assert loaded.quarantined == 0, (how, at, run.ledger.quarantined()[:2])
            assert run.held() == wanted, f"{how} at write {at}: {run.held()} instead of {wanted}"
            run.ledger.close()
    finally:
        calm.close()
