"""Several faults at once, at random calls, and deaths between them: in the end the account is as an undisturbed load
leaves it. A seeded part of the sweep in ``benchmarks/crashes.py``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migrator.errors import MigratorError
from migrator.load import Loader
from migrator.testing.conformance import Run, Suite, begin

HOWS = ("429", "500", "502", "503", "reset", "unanswered", "timeout", "truncated")
FAULTS = st.lists(
    st.tuples(st.sampled_from(HOWS), st.integers(1, 60), st.sampled_from(["", "^POST ", "^PUT ", "^GET "])), max_size=5
)
DEATHS = st.lists(st.tuples(st.sampled_from(["before", "after"]), st.integers(1, 40)), max_size=3)


class Killed(BaseException):
    """The process is dead: nothing of ours may catch this."""


@pytest.fixture(scope="module", params=["freshdesk", "zendesk"])
def calm(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Run, dict[str, int]]]:
    """Return a planned account, and what an undisturbed load leaves."""
    run = begin(Suite(request.param, records=6), tmp_path_factory.mktemp("random"))
    run.load()
    verified, differences = run.verify()
    assert verified.proven, differences[:3]
    yield run, run.held()
    run.close()


def once(run: Run) -> bool:
    """Load as far as it goes; True where it came to its end."""
    connector = run.suite.connector
    loader = Loader(
        run.stage, run.ledger, run.workspace, connector.kinds, connector.manifest, connector.mapping, run.destination,
        "conformance", workers=1, sleep=run.box.clock.sleep, now=run.box.clock.now, monotonic=run.box.clock.monotonic,
    )  # fmt: skip
    try:
        loaded = loader.load(run.plan.digest, {})
    except (MigratorError, Killed):
        return False
    assert loaded.quarantined == 0, run.ledger.quarantined()[:2]
    return True


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(faults=FAULTS, deaths=DEATHS)
def test_faults_and_deaths_double_and_lose_nothing(
    calm: tuple[Run, dict[str, int]], faults: list[tuple[Any, int, str]], deaths: list[tuple[str, int]]
) -> None:
    before, wanted = calm
    run = before.again()
    for how, at, matching in faults:
        run.box.fault(how, at=at, matching=matching)
    seen = {"before": 0, "after": 0}

    def watch(moment: str, name: str) -> None:
        seen[moment] += 1
        if (moment, seen[moment]) in deaths:
            raise Killed

    run.box.watchers.append(watch)
    for _ in range(len(faults) * 2 + len(deaths) + 3):
        if once(run):
            break
    else:
        raise AssertionError("the load did not come to an end")
    run.box.watchers.clear()
    run.box.faults.clear()
    assert run.held() == wanted
    verified, differences = run.verify()
    assert verified.proven, differences[:3]
    run.ledger.close()
