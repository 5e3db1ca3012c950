"""Hypothesis for the unit tests: few examples and the same ones every time; ``MIGRATOR_TESTS=wide`` looks further."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from migrator.stage import Stage

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
settings.register_profile(
    "light", max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=QUIET
)
settings.register_profile("wide", max_examples=300, deadline=None, database=None, suppress_health_check=QUIET)
settings.load_profile("wide" if os.environ.get("MIGRATOR_TESTS") == "wide" else "light")


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """A stage in memory, of one thread: a module's tests make their own tables in it."""
    with Stage(":memory:", threads=1) as open_stage:
        yield open_stage
