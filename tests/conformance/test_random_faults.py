"""Several faults at once, at random calls, and deaths between them: a seeded part of ``benchmarks/crashes.py``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migrator.testing.chaos import HOWS, WHICH, Deaths, Faults, survives
from migrator.testing.conformance import Run, Suite, begin

FAULTS = st.lists(st.tuples(st.sampled_from(HOWS), st.integers(1, 60), st.sampled_from(WHICH)), max_size=5)
DEATHS = st.lists(st.tuples(st.sampled_from(["before", "after"]), st.integers(1, 40)), max_size=3)


@pytest.fixture(scope="module", params=["freshdesk", "zendesk"])
def calm(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Run, dict[str, int]]]:
    """Return a planned account, and what an undisturbed load leaves."""
    run = begin(Suite(request.param, records=6), tmp_path_factory.mktemp("random"))
    run.load()
    verified, differences = run.verify()
    assert verified.proven, differences[:3]
    yield run, run.held()
    run.close()


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(faults=FAULTS, deaths=DEATHS)
def test_faults_and_deaths_double_and_lose_nothing(
    calm: tuple[Run, dict[str, int]], faults: Faults, deaths: Deaths
) -> None:
    survives(*calm, faults, deaths)
