"""Never more calls than the quota in any sixty seconds, and never slower than the quota allows."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator import registry
from migrator.pacer import Limit, Pacer
from migrator.project import Account, Side


class Time:
    """A clock that only sleep winds."""

    def __init__(self, start: float = 0.0) -> None:
        self.now, self.lock = start, threading.Lock()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds < 10_000
        with self.lock:
            self.now += seconds


def pacer(time: Time, *limits: Limit, **more: Any) -> Pacer:
    return Pacer(list(limits), monotonic=time.monotonic, sleep=time.sleep, **more)


def most_in_a_minute(times: list[float]) -> int:
    times = sorted(times)
    return max((bisect_left(times, at + 60) - index for index, at in enumerate(times)), default=0)


@given(
    quota=st.integers(1, 40),
    calls=st.integers(1, 150),
    pauses=st.lists(st.floats(0, 30, allow_nan=False), max_size=20),
    start=st.sampled_from([0.0, 1.9e9]),
)
def test_no_minute_has_more_calls_than_the_quota(quota: int, calls: int, pauses: list[float], start: float) -> None:
    time = Time(start)
    paced, went = pacer(time, Limit("all", quota)), []
    for at in range(calls):
        time.now += pauses[at % len(pauses)] if pauses and at % 3 == 0 else 0
        paced.acquire("GET /x")
        went.append(time.now)
    assert most_in_a_minute(went) <= quota


@given(quota=st.integers(1, 60), calls=st.integers(1, 300))
def test_the_whole_quota_is_used(quota: int, calls: int) -> None:
    time = Time()
    paced = pacer(time, Limit("all", quota))
    for _ in range(calls):
        paced.acquire("GET /x")
    assert time.now == pytest.approx(60 * ((calls - 1) // quota))
    assert paced.waited_seconds == pytest.approx(time.now)


@given(
    account=st.integers(1, 30),
    narrow=st.integers(1, 30),
    names=st.lists(st.sampled_from(["POST /tickets", "GET /x"]), min_size=1, max_size=120),
)
def test_every_quota_that_matches_is_kept(account: int, narrow: int, names: list[str]) -> None:
    time = Time()
    paced, went = pacer(time, Limit("all", account), Limit("creation", narrow, "^POST .*/tickets$")), []
    for name in names:
        paced.acquire(name)
        went.append((name, time.now))
    assert most_in_a_minute([at for _, at in went]) <= account
    assert most_in_a_minute([at for name, at in went if name.startswith("POST")]) <= narrow


@given(quotas=st.lists(st.integers(1, 20), min_size=2, max_size=5))
def test_a_quota_the_vendor_changes_is_kept_from_then_on(quotas: list[int]) -> None:
    time = Time()
    paced = pacer(time, Limit("all", quotas[0]), total_header="X-Total")
    for quota in quotas:
        paced.observe({"X-Total": f"{quota}.0"})
        time.now += 60
        went = []
        for _ in range(3 * quota):
            paced.acquire("GET /x")
            went.append(time.now)
        assert most_in_a_minute(went) <= quota
        assert went[-1] - went[0] == pytest.approx(120)


def test_workers_side_by_side_keep_the_quota_together() -> None:
    time, went = Time(), []

    class Kept(deque[float]):
        def append(self, at: float) -> None:
            went.append(at)
            super().append(at)

    paced = pacer(time, Limit("all", 20, calls=Kept()))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: paced.acquire("GET /x"), range(200)))
    assert len(went) == 200
    assert most_in_a_minute(went) <= 20


@pytest.mark.parametrize(
    ("said", "quota", "share"),
    [("700.0", 700, 1.0), ("700.0", 560, 0.8), ("400", 200, 0.5), ("1", 1, 0.1), ("0.4", 1, 1.0)],
)
def test_the_vendors_own_word_on_its_quota_counts_by_our_share(said: str, quota: int, share: float) -> None:
    paced = pacer(Time(), Limit("all", 10), total_header="X-Total", share=share)
    paced.observe({"X-Total": said})
    assert paced.limits[0].per_minute == quota


@pytest.mark.parametrize("said", ["", "many", "nan", "inf", "-inf", "-5", "0", "1e999", "\uff17\uff10.x"])
def test_a_senseless_word_on_the_quota_changes_nothing(said: str) -> None:
    paced = pacer(Time(), Limit("all", 10), total_header="X-Total")
    paced.observe({"X-Total": said})
    assert paced.limits[0].per_minute == 10


def test_an_endpoints_own_quota_leaves_the_account_alone() -> None:
    paced = pacer(
        Time(), Limit("all", 100), Limit("contacts", 50, "/contacts$"), total_header="X-Total", by_endpoint=True
    )
    paced.observe({"X-Total": "40"}, "GET /api/v2/contacts")
    assert [limit.per_minute for limit in paced.limits] == [100, 40]


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("700.0", 700.0),
        ("3", 3.0),
        ("0", 0.0),
        (None, None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("-3", None),
    ],
)
def test_the_vendors_pause_is_read(said: str | None, seconds: float | None) -> None:
    assert pacer(Time()).retry_after({} if said is None else {"Retry-After": said}) == seconds


def test_everybody_waits_out_a_pause_and_not_longer() -> None:
    time = Time()
    paced = pacer(time, Limit("all", 100))
    paced.hold(30)
    paced.hold(10)
    for _ in range(3):
        paced.acquire("GET /x")
    assert time.now == 30


@given(share=st.floats(0.01, 1), plan=st.sampled_from(["team", "enterprise"]))
def test_the_share_leaves_the_rest_to_others(share: float, plan: str) -> None:
    connector = registry.connector("zendesk")
    account = Account(
        vendor="zendesk", settings={"account": "a", "user": "u"}, secrets={"token": "env:PATH"}, plan=plan, share=share
    )
    opened = Side(connector, connector.mapping, account, "m.yaml").open()
    for limit, rule in zip(opened.client.pacer.limits, connector.manifest.quota.rules, strict=True):
        assert limit.per_minute == max(1, int(rule.per_minute[plan] * share))


def test_a_quota_the_vendor_granted_is_the_accounts_not_that_of_every_endpoint() -> None:
    connector = registry.connector("zendesk")
    account = Account(
        vendor="zendesk",
        settings={"account": "a", "user": "u"},
        secrets={"token": "env:PATH"},
        plan="enterprise",
        per_minute=2500,
    )
    opened = Side(connector, connector.mapping, account, "m.yaml").open()
    assert [limit.per_minute for limit in opened.client.pacer.limits] == [2500, 10]
