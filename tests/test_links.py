"""One-time links: each opens one login once, is kept as a digest, and is given back only where nothing was done."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from werkzeug.test import Client

from migrator.errors import AbsentError, InputError, RefusedError, RetryError, UnknownOutcomeError
from migrator.ledger import Ledger
from migrator.links import FILE, Door, Links, address_of, digest, serving, until, written

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
GOOD = {"password": "correct horse battery", "again": "correct horse battery"}


class Account:
    """An account that sets passwords of mailboxes, or raises what it is told to."""

    def __init__(self) -> None:
        self.set: list[tuple[str, str, str]] = []
        self.raises: Exception | None = None

    def opens(self, kind: str) -> bool:
        return kind == "mailbox"

    def set_password(self, kind: str, there: str, password: str) -> None:
        if self.raises:
            raise self.raises
        self.set.append((kind, there, password))


def opened(folder: Path, login: str = "ann@a.example", days: int = 7) -> tuple[Client, Account, Links, str]:
    """Return the page, the account behind it, the links and the path of one."""
    links, account = Links(folder), Account()
    ((_, _, token),) = links.make([("mailbox", "17", login)], NOW + timedelta(days=days))
    return Client(Door(links, account, lambda: NOW)), account, links, f"/{token}"


def test_a_link_sets_one_password_once_and_reading_it_spends_nothing(tmp_path: Path) -> None:
    page, account, _, path = opened(tmp_path)
    for _ in range(3):
        assert page.get(path).status_code == 200  # as mail programs and scanners do
    assert page.head(path).status_code == 200
    assert page.post(path, data=GOOD).status_code == 200
    assert account.set == [("mailbox", "17", GOOD["password"])]
    assert page.post(path, data=GOOD).status_code == page.get(path).status_code == 410
    assert len(account.set) == 1


def test_the_page_is_served_on_this_machine_and_shows_no_token_to_anybody(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    _, account, links, path = opened(tmp_path)
    with caplog.at_level("DEBUG", logger="werkzeug"), serving(Door(links, account, lambda: NOW)) as address:
        assert address.startswith("http://127.0.0.1:")
        with requests.Session() as session:
            assert session.post(address + path, data=GOOD, timeout=20).status_code == 200
            assert session.get(address + path, timeout=20).status_code == 410
    shown = capfd.readouterr()
    assert path[1:] not in shown.out + shown.err + "".join(
        one.getMessage() for one in caplog.records if one.name == "werkzeug"
    )
    assert account.set == [("mailbox", "17", GOOD["password"])]


def test_of_many_who_use_a_link_at_once_one_sets_the_password(tmp_path: Path) -> None:
    _, account, links, path = opened(tmp_path)
    pages = [Client(Door(links, account, lambda: NOW)) for _ in range(8)]
    threads = [threading.Thread(target=page.post, args=(path,), kwargs={"data": GOOD}) for page in pages]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(account.set) == 1


@pytest.mark.parametrize(
    ("err", "status", "again"),
    [
        (RefusedError("weak_password_txt"), 422, True),
        (AbsentError("gone"), 422, True),
        (RetryError("busy"), 503, True),
        (UnknownOutcomeError("no answer"), 502, False),
    ],
)
def test_a_link_is_given_back_only_where_nothing_was_done(
    tmp_path: Path, err: Exception, status: int, again: bool, caplog: pytest.LogCaptureFixture
) -> None:
    page, account, _, path = opened(tmp_path)
    account.raises = err
    with caplog.at_level("DEBUG"):
        assert page.post(path, data=GOOD).status_code == status
        account.raises = None
        assert page.post(path, data=GOOD).status_code == (200 if again else 410)
    assert GOOD["password"] not in caplog.text
    assert path not in caplog.text


@pytest.mark.parametrize(
    ("password", "other"),
    [
        ("short", "short"),
        ("a" * 200, "a" * 200),
        ("one thing or two", "another thing"),
        ("xx ann xx xx xx", ""),
        ("", ""),
    ],
)
def test_what_is_no_password_spends_nothing(tmp_path: Path, password: str, other: str) -> None:
    page, account, _, path = opened(tmp_path)
    assert page.post(path, data={"password": password, "again": other or password}).status_code == 422
    assert account.set == []
    assert page.post(path, data=GOOD).status_code == 200


def test_an_expired_link_and_one_that_was_replaced_and_one_nobody_made_open_nothing(tmp_path: Path) -> None:
    page, account, links, path = opened(tmp_path, days=0)
    assert page.post(path, data=GOOD).status_code == 410
    page, account, links, path = opened(tmp_path)
    links.make([("mailbox", "17", "ann@a.example")], NOW + timedelta(days=1))
    assert page.post(path, data=GOOD).status_code == 404
    for wrong in ("/", "/x", path + "x", path.swapcase(), "/" + digest(path[1:]), "/%00", "/../" + FILE):
        assert page.post(wrong, data=GOOD).status_code == 404
    assert account.set == []


def test_what_is_kept_opens_nothing_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    _, _, _, path = opened(tmp_path)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert path[1:].encode() not in (tmp_path / FILE).read_bytes()


def test_links_are_written_to_no_file_of_the_workspace(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        for inside in (tmp_path / "w" / "links.csv", tmp_path / "w" / "a" / ".." / "links.csv"):
            (tmp_path / "w" / "a").mkdir(parents=True, exist_ok=True)
            with pytest.raises(InputError, match="outside the workspace"):
                written(inside, Links(tmp_path / "w"), [], ledger, None, "https://x.example", datetime.now(UTC))
            assert not inside.exists()


def test_a_hostile_login_is_text_on_the_page_and_no_page_is_kept_or_framed(tmp_path: Path) -> None:
    page, _, _, path = opened(tmp_path, login='"><script>alert(1)</script>@a.example')
    answer = page.get(path)
    assert "<script>" not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert page.post(path, data={"password": "x" * 100_000, "again": "x"}).status_code in (413, 422)


@pytest.mark.parametrize("text", ["", "move.example", "http://move.example", "ftp://x", "https://", "https://x/?a=b"])
def test_links_lead_to_tls_or_to_this_machine(text: str) -> None:
    with pytest.raises(InputError):
        address_of(text)
    assert address_of("https://move.example/set/") == "https://move.example/set"
    assert address_of("http://127.0.0.1:8099") == "http://127.0.0.1:8099"


@pytest.mark.parametrize("days", [0, -1, 31])
def test_links_live_some_days(days: int) -> None:
    with pytest.raises(InputError):
        until(NOW, days)
