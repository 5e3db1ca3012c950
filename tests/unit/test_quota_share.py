"""Against simulated vendors the pacer uses the quota it may use, and is not refused. The clock is virtual."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

FILE = Path(__file__).resolve().parents[2] / "benchmarks" / "quota.py"
LEAST = 0.97


def _simulation() -> ModuleType:
    spec = importlib.util.spec_from_file_location("quota_simulation", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


quota = _simulation()


@pytest.mark.parametrize("title", list(quota.SCENES))
def test_every_scene_of_the_benchmark_uses_the_quota_and_is_not_refused(title: str) -> None:
    scene = quota.SCENES[title]()
    done = quota.play(scene)
    assert done.share >= LEAST
    assert done.refused <= scene.surprises * scene.workers
    assert min(done.by_worker) >= 0.8 * max(done.by_worker)


@settings(max_examples=10, deadline=None)
@given(
    per_minute=st.sampled_from([10, 20, 40, 100, 200, 400, 700]),
    window=st.sampled_from(["sliding", "fixed"]),
    taken_for=st.sampled_from(["what it is", "sliding"]),
    begins=st.floats(0, 59),
    fastest=st.floats(0.02, 0.5),
    spread=st.floats(0, 0.9),
    share=st.sampled_from([1.0, 0.8, 0.5]),
    start=st.floats(0, 1e6),
    seed=st.integers(0, 1000),
)
def test_a_quota_is_used_and_never_overdrawn_while_others_keep_to_their_share(
    per_minute: int,
    window: str,
    taken_for: str,
    begins: float,
    fastest: float,
    spread: float,
    share: float,
    start: float,
    seed: int,
) -> None:
    theirs = 0.9 * (1 - share) * per_minute - 2
    scene = quota.Scene(
        [quota.Rule(per_minute, window=window, begins=begins)],
        declared=[quota.Rule(per_minute)] if taken_for == "sliding" else None,
        workers=4 + int(1.6 * per_minute / 60 * (fastest + spread / 2)),
        latency=(fastest, fastest + spread),
        others=[quota.Other(theirs)] if theirs > 0 else [],
        share=share,
        start=start,
        seed=seed,
        reset=window == "fixed" and seed % 2 == 0,
        minutes=12 if per_minute >= 100 else 42,
    )
    done = quota.play(scene)
    a_minute = per_minute * share
    assert done.refused == 0
    assert done.used >= LEAST * done.allowed - (a_minute if per_minute < 100 else 0)  # the minute cut by the end


@settings(max_examples=10, deadline=None, derandomize=True)
@given(
    per_minute=st.sampled_from([200, 400, 700]),
    window=st.sampled_from(["sliding", "fixed"]),
    theirs=st.floats(0.1, 0.5),
    latency=st.floats(0.05, 0.6),
    share=st.sampled_from([1.0, 0.8]),
    seed=st.integers(0, 1000),
)
def test_whoever_takes_more_than_the_rest_is_given_way_to(
    per_minute: int, window: str, theirs: float, latency: float, share: float, seed: int
) -> None:
    scene = quota.Scene(
        [quota.Rule(per_minute, window=window, begins=seed % 60)],
        workers=4 + int(3 * per_minute / 60 * latency),
        latency=(latency, 2 * latency),
        others=[quota.Other(theirs * per_minute)],
        share=share,
        seed=seed,
        reset=True,
        warm_up=3,
    )
    done = quota.play(scene)
    assert done.refused <= 0.002 * done.used  # two who ask for the same last call cannot both have it
    assert done.share >= LEAST
    assert done.others_used >= min(theirs, 1 - share) * per_minute * 9 * LEAST


@pytest.mark.parametrize("workers", [2, 7, 32])
def test_where_the_way_is_what_bounds_every_worker_is_always_under_way(workers: int) -> None:
    done = quota.play(quota.Scene([quota.Rule(100_000)], workers=workers, latency=(1.0, 1.0), minutes=4))
    assert done.used == pytest.approx(120 * workers, abs=workers)
    assert done.longest_gap == 0
