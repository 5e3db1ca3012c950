"""A cPanel account moves into ISPConfig: what has a place arrives, what has none is left with its reason."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from migrator import registry
from migrator.errors import InputError
from migrator.ledger import Ledger
from migrator.links import Door, Links, written
from migrator.migration import Account
from migrator.passport import passport
from migrator.project import side
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.sandbox import Sandbox, mount
from tests.support.connectors import connector
from tests.support.server_desks import steps_into

pytestmark = pytest.mark.sandbox


@pytest.fixture
def panel() -> Sandbox:
    box: Sandbox = registry.connector("ispconfig").sandbox.create()
    return box


def ask(box: Sandbox, method: str, **params: Any) -> dict[str, Any]:
    with mount(box) as session:
        said = session.post(f"{box.base_url}/remote/json.php?{method}", json=params).json()
    assert isinstance(said, dict)
    return said


def login(box: Sandbox) -> str:
    module = connector("ispconfig.sandbox")
    return str(ask(box, "login", username=module.USER, password=module.TOKEN, client_login=False)["response"])


def test_a_cpanel_account_arrives_and_nothing_is_lost_in_silence(
    panel: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = registry.connector("cpanel").sandbox.create()
    registry.connector("cpanel").part("demo").fill(old)
    steps = steps_into(tmp_path / "w", old, panel, monkeypatch)
    steps.extract()
    plan = steps.plan()
    assert not plan.unaccounted
    assert steps.load(plan.digest, accept_losses=True).finished
    verified, differences = steps.verify()
    assert verified.proven, differences
    ways = {(line.kind, line.action) for line in plan.dispositions}
    kinds = registry.connector("cpanel").mapping.kinds
    assert {kind for kind, _ in ways} >= set(kinds)
    held = {table: len(rows) for table, rows in panel.store.items() if rows}
    assert held == {
        "mail_domain": 4, "mail_user": 3, "mail_forwarding": 1, "web_domain": 3, "web_database_user": 1,
        "cron": 1,
    }  # fmt: skip
    [(away, subject)] = [
        (row["email"], row["autoresponder_subject"])
        for row in panel.store["mail_user"].values()
        if row["autoresponder"] == "y"
    ]
    assert (away, subject) == ("ann@acme.example", "Away")
    active = {row["domain"]: row["active"] for row in panel.store["mail_domain"].values()}
    assert active["second.example"] == "n"  # its mail is elsewhere: nothing may be delivered to it here
    assert ("database", "manual") in ways  # UAPI has no dump of it
    passwords = [row["password"] for row in panel.store["mail_user"].values()]
    assert all(passwords)
    destination = registry.connector("ispconfig")
    with Stage(tmp_path / "w" / "stage.duckdb") as stage:
        verdicts = {login.verdict for login in passport(stage, destination.kinds, destination.manifest)}
    assert "goes along" not in verdicts  # cPanel's UAPI shows no hash
    assert "set again" in verdicts
    people_set_passwords_of_their_own(steps, panel, tmp_path)


def people_set_passwords_of_their_own(steps: Steps, panel: Sandbox, folder: Path) -> None:
    """Make links after that load, and use them."""
    side, now = steps.project.destination, datetime(2026, 11, 27, tzinfo=UTC)
    with Stage(steps.workspace.stage) as stage:
        logins = list(passport(stage, side.connector.kinds, side.connector.manifest))
    file, links = folder / "links.csv", Links(steps.workspace.folder)
    account = steps.destination()
    with Ledger(steps.workspace.ledger) as ledger:
        made, without = written(file, links, logins, ledger, account, "https://move.example", now + timedelta(days=7))
        assert (made, without) == (4, 0)
        with pytest.raises(InputError):  # a file that is there is not written over
            written(file, links, logins, ledger, account, "https://move.example", now)
    assert file.stat().st_mode & 0o777 == 0o600
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    (path,) = [row["link"].removeprefix("https://move.example") for row in rows if row["login"] == "ann@acme.example"]
    door = Client(Door(links, account, lambda: now))
    was = {row["email"]: row["password"] for row in panel.store["mail_user"].values()}
    chosen = "Tr0ub4dor&3 ünd mehr"
    assert door.get(path).status_code == 200
    assert door.post(path, data={"password": "x", "again": "x"}).status_code == 422
    assert door.post(path, data={"password": chosen, "again": chosen}).status_code == 200
    assert door.post(path, data={"password": chosen + "2", "again": chosen + "2"}).status_code == 410
    assert door.get(path).status_code == 410
    held = {row["email"]: row["password"] for row in panel.store["mail_user"].values()}
    assert {email for email in held if held[email] != was[email]} == {"ann@acme.example"}
    token = path.removeprefix("/")
    for one in folder.rglob("*"):
        if one.is_file() and one != file:
            content = one.read_bytes()
            assert chosen.encode() not in content, one
            assert token.encode() not in content, one


def test_a_hash_is_kept_only_where_it_is_said_to_be_one(panel: Sandbox) -> None:
    session = login(panel)
    ask(panel, "mail_domain_add", session_id=session, client_id=7, params={"server_id": 1, "domain": "ab.example"})
    for name, said in (("x", {}), ("y", {"_ispconfig_pw_crypted": 1})):
        params = {
            "email": f"{name}@ab.example",
            "login": f"{name}@ab.example",
            "password": "$6$s$hash",
            "quota": "0",
            **said,
        }
        assert ask(panel, "mail_user_add", session_id=session, client_id=7, params=params)["code"] == "ok"
    first, second = (row["password"] for row in panel.store["mail_user"].values())
    assert first != "$6$s$hash"
    assert second == "$6$s$hash"


def test_rows_of_other_clients_are_not_read(panel: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    module = connector("ispconfig.sandbox")
    module.seed(panel, "mail_domain", [{"domain": "mine.example"}, {"domain": "theirs.example", "sys_groupid": "99"}])
    opened = opened_at(panel, monkeypatch)
    [page] = opened.pages("mail_domain", None, lambda stream: [])
    assert [b"mine.example" in record.body for record in page.records] == [True]


def test_a_session_that_expired_is_opened_again(panel: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = opened_at(panel, monkeypatch)
    assert list(opened.pages("cron", None, lambda stream: []))
    panel.state["sessions"].clear()
    assert list(opened.pages("cron", None, lambda stream: []))


def test_check_names_the_function_that_the_remote_user_lacks(panel: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    panel.state["denied"].add("sites_cron_get")
    findings = {finding.what: finding.ok for finding in opened_at(panel, monkeypatch).check()}
    assert [what for what, ok in findings.items() if not ok] == ["sites_cron_get"]


def opened_at(panel: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = connector("ispconfig.sandbox")
    monkeypatch.setenv("MIGRATOR_TEST_PASSWORD", module.TOKEN)
    secrets = {"password": "env:MIGRATOR_TEST_PASSWORD"}
    account = Account(vendor="ispconfig", url=panel.base_url, settings=module.SETTINGS, secrets=secrets, workers=1)
    clock = panel.clock
    return side(account, None, "test").open(session=mount(panel), sleep=clock.sleep, monotonic=clock.monotonic)
