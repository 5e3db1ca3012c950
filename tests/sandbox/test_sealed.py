"""No hash, key or password of the customer lies open in a workspace, whatever happens, and the new account has them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from werkzeug.wrappers import Request, Response

from migrator import registry
from migrator.aside import quarantined
from migrator.cli.common import write_report
from migrator.connectors.cpanel_archive import made_up
from migrator.errors import AccessError
from migrator.migration import Account
from migrator.passport import Login, passport
from migrator.project import open_project
from migrator.rehearsal import rehearse
from migrator.stage import Stage
from migrator.steps import Steps
from migrator.testing.chaos import Killed
from migrator.testing.sandbox import Clock, Sandbox, mount
from migrator.vault import keys_folder
from tests.support.open_secrets import found, told
from tests.support.server_desks import steps_between

pytestmark = pytest.mark.sandbox
ANN, BOB, EVE, FTP = (
    f"$6$salt{name}$" + (name * 30)[:86] for name in ("Ann/h4sh.", "B0b/h4sh.", "Eve/h4sh.", "Ftp/h4sh.")
)
DATA = "*0BADC0DE" + "5EC2E7A5" * 4
PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\n-----END PRIVATE KEY-----\n"
NEEDLES = [ANN[12:60], BOB[12:60], EVE[12:60], FTP[12:60], DATA[1:], PEM.splitlines()[1]]
CONTROL = "ann@acme.example"  # is no secret, and found wherever secrets would be


def archive(folder: Path) -> Path:
    """Pack an account with secrets that can be told apart, one of them for a user whom the panel refuses."""
    held = {
        "homedir/etc/acme.example/passwd": "".join(f"{one}:x:1:1::/h:/bin/false\n" for one in ("ann", "bob", "eve")),
        "homedir/etc/acme.example/shadow": f"ann:{ANN}:1::::::\nbob:!{BOB}:1::::::\neve:{EVE}:1::::::\n",
        "proftpdpasswd": f"up@acme.example:{FTP}:1000:1000:acme:/home/acme/public_html/up:/bin/false\n",
        "mysql.sql": made_up.GRANTS.replace("*0123456789ABCDEF0123456789ABCDEF01234567", DATA),
        "apache_tls/acme.example": PEM + made_up.CERTIFICATE.partition("-----END PRIVATE KEY-----\n")[2],
    }
    entries = [made_up.entry(f"{made_up.ROOT}/{path}", text.encode()) for path, text in held.items()]
    others = [one for one in made_up.entries() if one[0].name not in {entry[0].name for entry in entries}]
    return made_up.write(folder / "old.tar.gz", [*others, *entries])


class Telltale:
    """The panel behind somebody who refuses one user, once, with all that was sent in the answer."""

    def __init__(self, panel: Sandbox) -> None:
        self.panel, self.refuses = panel, True

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        request = Request(environ)
        body = request.get_data()
        environ["wsgi.input"], said = io.BytesIO(body), body.decode()
        if self.refuses and "mail_user_add" in environ["QUERY_STRING"] and "eve@" in said:
            answer = {"code": "remote_fault", "message": f"cannot store {said} {quote(said)} {EVE[:70]}"}
            return Response(json.dumps(answer), content_type="application/json")(environ, start)
        return self.panel(environ, start)


@pytest.fixture
def panel() -> Sandbox:
    box: Sandbox = registry.connector("ispconfig").sandbox.create()
    return box


@pytest.fixture
def between(tmp_path: Path, panel: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Steps]:
    module = registry.connector("ispconfig").sandbox
    account = Account(vendor="ispconfig", url=panel.base_url, settings=module.SETTINGS, workers=1)
    old = Account(vendor="cpanel_archive", settings={"archive": str(archive(tmp_path))})
    clock = Clock()
    steps_between(tmp_path / "w", (old, {}), (account, {"password": module.TOKEN}), monkeypatch, clock)
    teller = Telltale(panel)

    def steps() -> Steps:
        session = mount(panel, **{panel.host: teller})
        return Steps(open_project(tmp_path / "w"), None, session, clock.sleep, clock.monotonic, clock.now)

    return steps


def sweep(folder: Path, said: str = "") -> None:
    """Raise AssertionError where a secret, or the key, lies open."""
    controls, key = set(), key_of(folder).read_text(encoding="ascii").strip()
    for place, text in [*told(folder), ("said", said)]:
        for needle in [*NEEDLES, key]:
            assert not found(needle, text), place
        if found(CONTROL, text):
            controls.add(place)
    assert {"raw.mailboxes", "canonical.mailbox", "plan.planned"} <= controls, controls


def key_of(folder: Path) -> Path:
    """Return the file of a workspace's key."""
    return keys_folder() / json.loads((folder / "key.json").read_text(encoding="utf-8"))["key"]


def logins(run: Steps) -> dict[str, Login]:
    """Return what becomes of each password, which is told without the key."""
    side = run.project.destination.connector
    with Stage(run.workspace.stage) as stage:
        return {one.login: one for one in passport(stage, side.kinds, side.manifest)}


def test_no_secret_lies_open_whatever_happens_and_the_new_account_has_them_all(
    panel: Sandbox, tmp_path: Path, between: Callable[[], Steps], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    run = between()
    run.extract()
    plan = run.plan()
    its_key_is_away(between, panel, plan.digest)
    rehearsed, _, _ = rehearse(between())
    assert rehearsed.finished
    at = len(panel.exchanges) + 9

    def kill(moment: str, name: str) -> None:
        if moment == "after" and len(panel.exchanges) == at:
            raise Killed

    panel.watchers.append(kill)
    with pytest.raises(Killed):
        between().load(plan.digest, accept_losses=True)
    panel.fault("unanswered", at=9)
    assert between().load(plan.digest, accept_losses=True).quarantined >= 1  # goes on, as another process would
    assert {ANN, BOB} <= {row["password"] for row in panel.store["mail_user"].values()}
    assert DATA in {row["database_password"] for row in panel.store["web_database_user"].values()}
    [aside] = [one for one in quarantined(run) if one.kind == "mailbox"]
    assert "cannot store" in aside.answer
    assert "⟦sealed SHA512-CRYPT " in json.dumps(aside.payload, ensure_ascii=False)
    run.verify()
    write_report(run)
    said = repr([vars(one) for one in quarantined(run)]) + repr(logins(run)) + caplog.text
    sweep(tmp_path / "w", said + "".join(repr(vars(record)) for record in caplog.records))
    [sealed] = (tmp_path / "w" / "blobs").rglob("*.sealed")
    assert run.workspace.vault.bytes_of(sealed).decode().startswith(PEM)
    its_key_is_gone_for_good(between, tmp_path / "w")
    assert between().load(between().undo().digest).finished
    assert not panel.store["mail_user"]
    sweep(tmp_path / "w")


def its_key_is_away(between: Callable[[], Steps], panel: Sandbox, digest: str) -> None:
    """Load without the key: nothing is written, it is said which is missed, and what needs none goes on."""
    file = key_of(between().workspace.folder)
    away = file.rename(file.with_name("away"))
    with pytest.raises(AccessError, match=rf"{file.name}, which is not in .*put it back"):
        between().load(digest, accept_losses=True)
    assert not panel.store["mail_user"]
    assert not file.exists()
    ann = logins(between())[CONTROL]
    assert (ann.scheme, ann.verdict) == ("SHA512-CRYPT", "goes along")
    away.rename(file)


def its_key_is_gone_for_good(between: Callable[[], Steps], folder: Path) -> None:
    """Go the manual's way on: secrets are read once more, and what was written is still known."""
    key_of(folder).unlink()
    (folder / "key.json").unlink()
    between().extract()
    plan = between().plan()
    boxes = {line.action: line.count for line in plan.dispositions if line.kind == "mailbox"}
    assert boxes == {"keep": 3, "create": 1}  # acme, ann, bob; and eve, who was refused
    assert not plan.changes
