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
from migrator.errors import HeldError, StoppedError
from migrator.migration import Account
from migrator.pacer import Limit, Pacer, Spent
from migrator.project import Side


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

    class Kept(deque[Spent]):
        def append(self, one: Spent) -> None:
            went.append(one.sent)
            super().append(one)

    paced = pacer(time, Limit("all", 20, spent=Kept()))
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
        ("86400", 3600.0),
        ("Sun, 01 Nov 2026 00:00:05 GMT", 5.0),
        ("Sun, 01 Nov 2026 00:00:05", 5.0),
        ("Sat, 31 Oct 2026 00:00:00 GMT", None),
        ("Sun, 01 Nov 2099 00:00:00 GMT", 3600.0),
        ("Sun, 99 Nov 2026 00:00:05 GMT", None),
    ],
)
def test_the_vendors_pause_is_read(said: str | None, seconds: float | None) -> None:
    paced = pacer(Time(), wall=lambda: 1_793_491_200.0)  # 2026-11-01T00:00:00Z
    assert paced.retry_after({} if said is None else {"Retry-After": said}) == seconds


def test_a_pause_told_as_a_date_is_reckoned_by_the_vendors_own_clock() -> None:
    said = {"Retry-After": "Sun, 01 Nov 2026 00:01:05 GMT", "Date": "Sun, 01 Nov 2026 00:01:00 GMT"}
    assert pacer(Time(), wall=lambda: 0.0).retry_after(said) == 5.0


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


@given(seconds=st.floats(0.1, 3600))
def test_a_long_wait_is_slept_in_slices_that_sum_up_to_it(seconds: float) -> None:
    time, slept = Time(), []
    paced = Pacer([], monotonic=time.monotonic, sleep=lambda s: (slept.append(s), time.sleep(s))[1])  # type: ignore[func-returns-value]
    paced.hold(seconds)
    paced.acquire("GET /x")
    assert sum(slept) == pytest.approx(seconds, rel=1e-9)
    assert max(slept) <= 1


def test_a_stopped_run_waits_no_longer_than_a_slice() -> None:
    time = Time()
    paced = pacer(time, Limit("all", 1), cancelled=lambda: time.now >= 7)
    paced.acquire("GET /x")
    with pytest.raises(StoppedError):
        paced.acquire("GET /x")
    assert 7 <= time.now <= 8
    assert paced.waiting_until is None
    with pytest.raises(StoppedError):
        paced.pause(30)


def test_who_waits_and_until_when_is_told() -> None:
    time = Time()
    paced = pacer(time, Limit("account", 1))
    paced.acquire("GET /x")
    assert (paced.waiting_for, paced.waiting_until) == ("", None)
    time.now = 48
    next(waiting := paced.waits("GET /x"))
    assert (paced.waiting_for, paced.waiting_until) == ("quota 'account', 12 s", 60)
    waiting.close()
    assert (paced.waiting_for, paced.waiting_until) == ("", None)


def test_who_waits_for_a_limit_goes_in_the_order_of_coming_and_others_pass_by() -> None:
    time = Time()
    paced = pacer(time, Limit("account", 100), Limit("exports", 1, "/exports"))
    paced.acquire("GET /exports")
    first, second = paced.waits("GET /exports"), paced.waits("GET /exports")
    next(first)
    next(second)
    paced.acquire("GET /x")
    assert time.now == 0
    time.now = 60
    assert next(second) > 0
    with pytest.raises(StopIteration):
        next(first)


def test_a_call_that_costs_more_waits_for_as_many_credits() -> None:
    time = Time()
    paced = pacer(time, Limit("account", 4, costs={"include=": 3}))
    paced.acquire("GET /tickets", "include=stats")
    paced.acquire("GET /tickets", "page=2")
    time.now = 30
    paced.acquire("GET /tickets", "include=stats")
    assert time.now == 60


def test_what_the_vendor_says_a_call_took_corrects_it_and_the_next_alike() -> None:
    time = Time()
    paced = pacer(time, Limit("account", 10), used_header="X-Used")
    paced.observe({"X-Used": "6"}, "GET /tickets/1", paced.acquire("GET /tickets/1"))
    assert paced.limits[0].used == 6
    paced.acquire("GET /tickets/2")
    assert time.now == 60


def test_calls_of_others_are_seen_and_left_room_for_until_they_end() -> None:
    time = Time()
    paced = pacer(time, Limit("account", 400, total=400), remaining_header="X-Left")
    paced.observe({"X-Left": "99"}, "GET /x", paced.acquire("GET /x"))
    for _ in range(90):
        paced.observe({}, "GET /x", paced.acquire("GET /x"))
    assert time.now == 0
    for _ in range(10):
        paced.observe({}, "GET /x", paced.acquire("GET /x"))
    assert time.now == 60
    time.now += 60
    paced.observe({"X-Left": "399"}, "GET /x", paced.acquire("GET /x"))
    began = time.now
    for _ in range(390):
        paced.acquire("GET /x")
    assert time.now == began


def test_a_refused_endpoint_is_held_and_the_account_goes_on() -> None:
    time = Time()
    paced = pacer(time, Limit("account", 100, total=100), Limit("exports", 10, "/exports"), remaining_header="X-Left")
    call = paced.acquire("GET /exports")
    paced.observe({"X-Left": "99"}, "GET /exports", call)
    paced.hold(40, call)
    paced.acquire("GET /x")
    assert time.now == 0
    paced.acquire("GET /exports")
    assert time.now == 40


@pytest.mark.parametrize("jump", [-1e6, -100, 1e6])
def test_a_clock_that_jumps_keeps_nobody_longer_than_a_minute(jump: float) -> None:
    time = Time(2e6)
    paced = pacer(time, Limit("all", 2))
    for _ in range(2):
        paced.acquire("GET /x")
    time.now += jump
    began = time.now
    paced.acquire("GET /x")
    assert time.now - began <= 60


def test_a_call_goes_while_others_are_still_unanswered() -> None:
    time = Time()
    paced = pacer(time, Limit("all", 50))
    for _ in range(50):
        paced.acquire("GET /x")
    assert (time.now, paced.limits[0].on_the_way) == (0, 50)


def test_a_call_that_need_not_wait_goes_at_once_or_not_at_all() -> None:
    time = Time()
    paced = pacer(time, Limit("all", 2))
    with paced.hasty():
        paced.acquire("GET /x")
        paced.acquire("GET /x")
        paced.acquire("GET /x")  # what was begun goes on, and waits for its turn
    assert time.now >= 60
    paced.acquire("GET /x")
    began = time.now
    with pytest.raises(HeldError), paced.hasty():
        paced.acquire("GET /x")
    assert time.now == began
    paced.acquire("GET /x")
    assert began < time.now <= began + 61, "who was held took nothing, and the next call waits as ever"
