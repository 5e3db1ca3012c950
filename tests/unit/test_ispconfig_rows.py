"""ISPConfig's columns and our records say the same, both ways."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from tests.support.connectors import connector

rows = connector("ispconfig.rows")
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize("own", [True, False])
def test_an_alias_reads_back_with_and_without_its_own_copy(own: bool) -> None:
    told = {"source": "a@x.example", "destinations": ["b@x.example", "c@y.example"], "keep_copy": own}
    written = rows.row("alias", told)
    assert ("a@x.example" in written["destination"]) is own
    read = rows.record("mail_forwarding", written, {"x.example": "3"})
    assert {**told, "mail_domain": "3"}.items() <= read.items()


@pytest.mark.parametrize("schedule", ["* * * * *", "*/5 0-6 1,15 */2 1-5"])
def test_a_schedule_reads_back(schedule: str) -> None:
    assert rows.record("cron", rows.row("cron_job", {"schedule": schedule}), {})["schedule"] == schedule


@pytest.mark.parametrize("moment", ["2026-07-01T00:00:00Z", "2026-12-31T23:59:59Z"])
def test_dates_are_told_in_the_time_of_the_server(moment: str) -> None:
    written = rows.row("autoresponder", {"start": moment}, BERLIN)
    assert written["autoresponder_start_date"] != moment
    assert rows.record("mail_user", {"email": "a@x.example", **written}, {}, BERLIN)["start"] == moment


def test_a_hash_goes_without_our_name_of_its_scheme_and_is_said_to_be_one() -> None:
    written = rows.row("mailbox", {"password": "{SHA512-CRYPT}$6$s$h"})
    assert written == {"password": "$6$s$h", "_ispconfig_pw_crypted": 1}


def test_no_two_logins_are_given_the_same_password() -> None:
    assert len({rows.password() for _ in range(20)}) == 20


def test_a_site_hangs_on_the_nearest_domain() -> None:
    domains = {"x.example": "1", "blog.x.example": "2"}
    assert rows.record("web_domain", {"domain": "www.blog.x.example"}, domains)["mail_domain"] == "2"
    assert "mail_domain" not in rows.record("web_domain", {"domain": "notx.example"}, domains)
