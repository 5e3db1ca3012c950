"""The tail brings what arrives, and closes only after so many TTLs of quiet; the passport shows no secret."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from migrator.errors import InputError, PlanError
from migrator.passport import passport
from migrator.stage import Stage
from migrator.tail import Round, tail, ttl_of
from tests.test_live import job


def test_a_tail_brings_what_arrives_and_closes_after_the_quiet(tmp_path: Path) -> None:
    run = job(tmp_path, {"record_set": {"type": ["SRV"]}})
    now = datetime(2026, 11, 26, tzinfo=UTC)
    run.clock = lambda: now
    run.extract()
    plan = run.plan()
    run.load(plan.digest)
    assert ttl_of(run) == 3600
    late = [2, 0, 0, 0]
    told: list[Round] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        now += timedelta(seconds=seconds)

    def arrive(one: Round) -> None:
        told.append(one)
        with (tmp_path / "old" / "example.com.zone").open("a") as file:
            for number in range(late.pop(0)):
                file.write(f"late{len(told)}{number} IN A 192.0.2.77\n")

    ended = tail(run, plan.digest[:12], ttl_seconds=600, sleep=sleep, rounds=2, told=arrive)
    assert [one.arrived for one in told] == [0, 2, 0, 0]
    assert ended.closed
    assert ended.closes - ended.quiet_since == timedelta(minutes=20)
    assert (tmp_path / "new" / "example.com.zone").read_text().count("192.0.2.77") == 2
    assert run.verify()[0].proven
    # Ended and begun again, what was seen counts.
    assert tail(run, plan.digest, ttl_seconds=600, sleep=sleep, once=True).closed
    assert json.loads((tmp_path / "tail.json").read_text())["rounds"] == 5


def test_a_tail_ends_where_a_round_would_lose_what_nobody_agreed_to(tmp_path: Path) -> None:
    run = job(tmp_path, {})
    run.extract()
    plan = run.plan()
    run.load(plan.digest)
    with (tmp_path / "old" / "example.com.zone").open("a") as file:
        file.write(
            "@ IN DNSKEY 257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+"
            "KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==\n"
        )
    with pytest.raises(PlanError, match="beyond"):
        tail(run, plan.digest, ttl_seconds=60, sleep=lambda seconds: None)
    with pytest.raises(InputError):
        tail(run, plan.digest, ttl_seconds=0, sleep=lambda seconds: None)


def test_the_passport_names_who_sets_a_password_again_and_shows_no_hash(tmp_path: Path) -> None:
    from migrator import registry
    from migrator.manifest import Keep, Write

    connector = registry.connector("imap")
    takes = Write.model_validate(
        {
            "kind": "mailbox",
            "create": {"path": "/"},
            "fields": {"password_hash": Keep(schemes=("SHA512-CRYPT",))},
        }
    )
    manifest = connector.manifest.model_copy(update={"writes": (takes,)})
    secrets = {"a@x": "{SHA512-CRYPT}$6$s$secret", "b@x": "{MD5-CRYPT}$1$s$secret", "c@x": None, "d@x": "$6$s$secret"}
    with Stage(tmp_path / "stage.duckdb") as stage:
        stage.schema("canonical", "plan")
        stage.table("canonical.mailbox", "id VARCHAR, address VARCHAR, password_hash VARCHAR")
        stage.insert("canonical.mailbox", [[login, login, hashed] for login, hashed in secrets.items()])
        stage.table("plan.planned", "kind VARCHAR, id VARCHAR, action VARCHAR, reason VARCHAR, variant VARCHAR")
        actions = {"a@x": "create", "b@x": "create", "c@x": "create", "d@x": "keep"}
        stage.insert("plan.planned", [["mailbox", login, does, "", "mailbox"] for login, does in actions.items()])
        found = list(passport(stage, connector.kinds, manifest))
        none = list(passport(stage, connector.kinds, connector.manifest))
    assert {one.login: one.verdict for one in found} == {
        "a@x": "goes along", "b@x": "set again", "c@x": "set again", "d@x": "is there already",
    }  # fmt: skip
    assert "secret" not in repr(found)
    assert {one.verdict for one in none} == {"set again", "is there already"}
