"""The connector for octoDNS's providers: what is imported, what is shown, and that a text is the same on both sides."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrator.connectors.octodns import answers, providers, texts
from migrator.errors import AccessError, InputError, RefusedError, RetryError, UnknownOutcomeError
from migrator.zones.records import quoted, record_set, strings

SECRETS = {"token": "a", "key": "b"}


@pytest.mark.parametrize(
    "named",
    [
        "os.system",
        "subprocess.Popen",
        "octodns.manager.sys",
        "octodns_powerdns.logging",
        "octodns.provider.yaml.YamlProvider; import os",
        "octodns..provider.YamlProvider",
        "../octodns.Provider",
        "octodns_nobody_has_this.Provider",
        "octodns.provider.yaml.NoSuchProvider",
        "octodns.no_such_module.Provider",
        "octodns.zone.Zone",
        "",
    ],
)
def test_what_is_no_provider_of_an_installed_octodns_package_is_refused(named: str) -> None:
    pytest.importorskip("octodns")
    with pytest.raises(InputError):
        providers.found(named)


def test_a_package_that_calls_itself_octodns_and_was_not_installed_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("octodns_powerdns")
    for name in ("octodns_evil", "octodns_powerdns"):  # one of a name nobody has, one before the true one
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('imported')", encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("octodns_evil.Provider", "octodns_powerdns.PowerDnsProvider"):
        with pytest.raises(InputError, match="not install"):
            providers.found(name)


def test_a_provider_of_an_installed_package_is_found() -> None:
    pytest.importorskip("octodns")
    assert providers.found("octodns.provider.yaml.YamlProvider").__name__ == "YamlProvider"


def test_secrets_are_named_in_the_arguments_and_put_in_from_the_environment() -> None:
    put, hidden = providers.arguments('{"host": "h", "port": 1, "api_key": "{token}"}', SECRETS, lambda name: "s3cret")
    assert put == {"host": "h", "port": 1, "api_key": "s3cret"}
    assert hidden == ["s3cret"]


@pytest.mark.parametrize(
    "text", ['{"token": "abc"}', '{"api_key": "abc"}', '{"x": "{nobody}"}', "[1]", "{", '{"id": "x"}']
)
def test_arguments_that_hold_a_secret_or_are_none_are_refused_without_showing_it(text: str) -> None:
    with pytest.raises(InputError) as refused:
        providers.arguments(text, SECRETS, lambda name: "s3cret")
    assert "abc" not in str(refused.value)


class _Answer:
    def __init__(self, status: int) -> None:
        self.status_code, self.text = status, "no such key s3cret"


class HTTPError(OSError):
    """As the HTTP library's own, which is an OSError too."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status} for url: https://dns.example/?key=s3cret")
        self.response = _Answer(status)


@pytest.mark.parametrize(
    ("err", "kind"),
    [
        (HTTPError(422), RefusedError),
        (HTTPError(401), AccessError),
        (HTTPError(403), AccessError),
        (HTTPError(429), RetryError),
        (HTTPError(500), UnknownOutcomeError),
        (HTTPError(504), UnknownOutcomeError),
        (ConnectionResetError("s3cret"), UnknownOutcomeError),
        (TimeoutError("s3cret"), UnknownOutcomeError),
        (ValueError("s3cret"), RefusedError),
    ],
)
def test_an_exception_of_a_provider_is_judged_by_what_may_have_been_done_and_shows_no_secret(
    err: Exception, kind: type[Exception]
) -> None:
    judged = answers.judged_writing(err, "changing a.example.", ["s3cret"])
    assert type(judged) is kind
    assert "s3cret" not in str(judged) + str(getattr(judged, "answer", ""))


@pytest.mark.parametrize("package", [*texts.DIALECTS, "octodns_of_somebody"])
@settings(max_examples=60, deadline=None)
@given(said=st.one_of(st.binary(max_size=300), st.text(alphabet='ab\\";019 ü', max_size=300).map(str.encode)))
def test_a_text_is_what_it_was_after_it_went_through_octodns_or_is_complained_of(package: str, said: bytes) -> None:
    pytest.importorskip("octodns")
    from octodns.record.txt import TxtRecord

    dialect = texts.of(package)
    one = record_set("a.example.", "t.a.example.", "TXT", 60, [quoted(said)])
    if texts.complaint(dialect, one):
        return
    if package in ("octodns_route53", "octodns_bind"):  # these take it in quotes; what they tell is made of that
        chunk = dialect.chunk(one.texts()[0])
        told = chunk[1:-1] if package == "octodns_route53" else dialect.value(said)
    else:
        told = dialect.value(said)
    (again,) = TxtRecord._value_type.process([told])
    assert dialect.told(str(again)) == said


@given(said=st.binary(max_size=300))
def test_route53s_escapes_are_octal_and_say_the_same(said: bytes) -> None:
    one = record_set("a.example.", "t.a.example.", "TXT", 60, [quoted(said)])
    (text,) = one.texts()
    octal = texts.of("octodns_route53").chunk(text)
    assert b"".join(strings(texts.to_decimal(octal))) == said
