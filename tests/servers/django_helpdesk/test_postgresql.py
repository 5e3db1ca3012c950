"""django-helpdesk on PostgreSQL: the channel fixtures writes there and reads back as on SQLite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migrator.testing.servers import django_helpdesk
from migrator.testing.servers.django_helpdesk import DjangoHelpdesk
from tests.servers.django_helpdesk.conftest import account, onto
from tests.servers.django_helpdesk.rows import filled
from tests.support.desks import tiny_desk

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def there(running: Callable[..., Any]) -> DjangoHelpdesk:
    found: DjangoHelpdesk = running(django_helpdesk.start, "django_helpdesk_postgresql", database="postgresql")
    return found


def test_fixtures_arrive_on_postgresql_beside_what_is_there_and_the_desk_numbers_on(
    there: DjangoHelpdesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there.insert(filled(there, 5))
    before = there.rows("SELECT id, title, secret_key FROM helpdesk_ticket ORDER BY id")
    old, _ = tiny_desk()
    run = onto(tmp_path, old, account(there, "fixtures"), monkeypatch)
    run.extract()
    plan = run.plan()
    assert plan.unaccounted == {}
    assert run.load(plan.digest).finished
    verified, differences = run.verify()
    assert differences == []
    assert verified.proven
    assert there.rows("SELECT id, title, secret_key FROM helpdesk_ticket WHERE id < 100 ORDER BY id") == before
    dates = there.rows(
        "SELECT id, title, CAST(created AT TIME ZONE 'UTC' AS TEXT) FROM helpdesk_ticket WHERE id >= 100"
    )
    assert sorted(dates) == [(n, f"Question {n}", "2024-01-01 08:00:00") for n in (100, 101)]
    there.rows(
        "INSERT INTO helpdesk_ticket (title, queue_id, created, modified, status, on_hold, priority, secret_key) "
        "VALUES ('made in the desk', 1, now(), now(), 1, false, 3, 'k')"
    )
    assert there.count("helpdesk_ticket", "title = 'made in the desk' AND id > 101") == 1
    assert run.plan().units == 0
