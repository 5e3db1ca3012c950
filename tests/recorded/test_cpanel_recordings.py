"""Answers that others recorded go through the connector; what it asks, and what its twin answers, is specified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from werkzeug.wrappers import Request, Response

from migrator import registry
from migrator.connectors.cpanel import uapi
from migrator.errors import RefusedError
from migrator.testing.sandbox import Routes, Sandbox
from tests.servers.dns.conftest import filed
from tests.support.server_desks import steps_between
from tests.support.vendor_data import vendor_file

pytestmark = pytest.mark.recorded
RECORDED = {
    "Email/list_pops_with_disk": "email_list_pops",
    "Email/list_forwarders": "email_forwarders",
    "Email/list_filters": "email_list_filters",
    "Ftp/list_ftp_with_disk": "ftp_list",
    "SSL/list_certs": "ssl_list_certs",
    "LangPHP/php_get_vhost_versions": "php_vhost_versions",
    "DNS/parse_zone": "dns_parse_zone",
    "Email/add_pop": "add_pop_dup",
}


def recorded(name: str) -> Any:
    return json.loads(vendor_file(f"cpanel/self-migration-testdata/{name}.json").read_text())


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return an account that answers with recordings, and with nothing where there is none."""
    routes = Routes()
    vendor_file("cpanel")

    @routes("GET", "/execute/<module>/<name>")
    def answered(box: Sandbox, request: Request, module: str, name: str) -> Response:
        known = RECORDED.get(f"{module}/{name}")
        answer = recorded(known)["result"] if known else {"status": 1, "data": []}
        if name == "domains_data":
            domains = recorded("domaininfo_list")["result"]["data"]
            answer = {"status": 1, "data": domains}
        return Response(json.dumps(answer), 200, content_type="application/json")

    box = Sandbox("cpanel", routes, host="recorded.example:2083")
    return steps_between(tmp_path / "w", box, filed(tmp_path / "new"), monkeypatch, box.clock).source()


def test_recorded_answers_are_read(account: Any) -> None:
    def listed(stream: str) -> dict[str, Any]:
        pages = account.pages(stream, None, lambda _: [])
        return {record.id: json.loads(record.body) for page in pages for record in page.records}

    assert {name: one["type"] for name, one in listed("domains").items()}["sub1.example"] == "sub"
    boxes = listed("mailboxes")
    assert {name: one["quota"] for name, one in boxes.items()} == {
        "info@main.example": None, "admin@main.example": 5120 * 2**20, "contact@addon.example": None,
    }  # fmt: skip
    assert listed("forwarders")["sales@main.example"]["destinations"] == ["sales@company.com", "backup@company.com"]
    filters = [one for one in listed("filters").values() if one["address"] == "admin@main.example"]
    assert ["script" in one for one in filters] == [True, False, False]  # both lists are the one recording
    assert "and as well as by or" in filters[1]["name"]
    assert {one["php_version"] for one in listed("websites").values()} == {"8.1", None}
    assert listed("ftp_accounts")["uploads@main.example"]["quota"] == 500 * 2**20
    assert listed("certificates")["cert_abc123"]["names"] == ["main.example", "www.main.example"]
    sets = {one.id: one for one in account.held("example.com.")}
    assert sets["example.com. MX example.com."].values == ("10 mail.example.com.",)
    long = sets["example.com. TXT dkim._domainkey.example.com."]
    assert long.values[0].count('"') == 2
    assert long.pieces


def test_a_refusal_is_one_though_its_status_is_200(account: Any) -> None:
    with pytest.raises(RefusedError, match="already exists"):
        uapi.call(account.client, "Email/add_pop")


def test_what_is_asked_and_answered_is_what_the_specification_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = vendor_file("cpanel/spec/openapi.yml").read_text("utf-8")
    paths = yaml.load(text, Loader=yaml.CBaseLoader)["paths"]  # every scalar is a text: the file has a bare =
    connector = registry.connector("cpanel")
    box = connector.sandbox.create()
    connector.part("demo").fill(box)
    source = steps_between(tmp_path / "w", box, filed(tmp_path / "new"), monkeypatch, box.clock).source()
    for stream in source.streams():
        for _ in source.pages(stream, None, lambda _: ["acme.example."]):
            pass
    asked = [one for one in box.exchanges if one.path.startswith("/execute/")]
    assert len({one.path for one in asked}) > 20
    for one in asked:
        name = one.path.removeprefix("/execute")
        operation = paths[name]["get"]
        known = {each["name"]: each.get("required") == "true" for each in operation.get("parameters", ())}
        assert set(one.query) <= set(known), (one.path, one.query)
        assert {each for each, needed in known.items() if needed} <= set(one.query), one.path
        assert set(json.loads(one.answer)) <= {"data", "errors", "messages", "metadata", "status", "warnings"}
