"""A made-up account with one of everything, for the sandbox."""

from __future__ import annotations

from typing import Any

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox

D, SECOND = "acme.example", "second.example"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBCg==\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nbWFkZSB1cA==\n-----END PRIVATE KEY-----\n"
PHP = {
    "0": {"selected": "no", "text": "8.1", "value": "1"},
    "1": {"selected": "yes", "text": "8.3", "value": "2"},
}
LINES = (
    (f"{D}.", "SOA", "ns1.old.example. hostmaster.acme.example. 2026010101 3600 3600 1209600 86400", "86400"),
    (f"{D}.", "NS", "ns1.old.example.", "86400"),
    (f"{D}.", "A", "192.0.2.10", ""),
    (f"{D}.", "MX", "10 mail", "14400"),
    (f"{D}.", "TXT", '"v=spf1 a mx ip4:192.0.2.10 ~all; é"', "3600"),
    (f"{D}.", "TXT", "google-site-verification=x", "3600"),
    (f"{D}.", "CAA", '0 issue "letsencrypt.org"', "3600"),
    ("mail", "A", "192.0.2.10", "3600"),
    ("www", "CNAME", D + ".", "300"),
    ("x._domainkey", "TXT", f'"v=DKIM1; k=rsa; p={"A" * 230}" "{"B" * 160}"', "3600"),
    ("_sip._tcp", "SRV", "10 60 5060 sip.acme.example.", "3600"),
    ("_acme-challenge", "TXT", '"check"', "60"),
)


def fill(box: Sandbox) -> None:
    """Put the account in."""
    box.store["listed domains"].clear()
    for stream, bodies in RECORDS.items():
        sandbox.seed(box, stream, bodies)
    lines = [{"of": D, "name": name, "type": type, "value": value, "ttl": ttl} for name, type, value, ttl in LINES]
    sandbox.seed(
        box, "dns", [*lines, {"of": "acme.test", "name": "acme.test.", "type": "A", "value": "192.0.2.10", "ttl": ""}]
    )


def _of(domain: str, *bodies: dict[str, Any]) -> list[Native]:
    return [{"of": domain, **body} for body in bodies]


RECORDS: dict[str, list[Native]] = {
    "domains": [
        {"domain": SECOND, "active": "yes", "suspended": "yes", "php": "OFF", "local_mail": "no"},
        {"domain": D, "active": "yes", "suspended": "no", "php": "ON", "php1_select": PHP, "local_mail": "yes"},
    ],
    "subs": _of(D, {"name": "blog"}),
    "pointers": _of(D, {"name": "acme.test", "type": "alias"}, {"name": "old.test", "type": {"type": "pointer"}}),
    "redirects": _of(D, {"path": "/old", "to": "https://acme.example/new"}),
    "pops": _of(
        D,
        {"user": "ann", "quota": "250", "usage": "1.5", "suspended": "no"},
        {"user": "bob", "quota": "0", "usage": "0", "suspended": "yes"},
    ),
    "forwarders": _of(
        D,
        {"user": "sales", "to": ["ann@acme.example", "out@elsewhere.example"]},
        {"user": "ann", "to": "bob"},
        {"user": "hook", "to": '"|/home/acme/bin/ticket --new, now"'},
        {"user": "acme", "to": "acme"},
    ),
    "catch_alls": [*_of(D, {"value": ":fail:"}), *_of(SECOND, {"value": "acme"})],
    "responders": _of(
        D,
        {"user": "sales", "email": "ann@acme.example", "subject": "Thanks", "text": "We have it.\n",
         "reply_content_type": "text/plain", "reply_once_time": "2d"},
    ),
    "vacations": _of(
        D,
        {"user": "ann", "subject": "Away", "text": "Back on Monday.\n", "starttime": "morning", "startday": "1",
         "startmonth": "7", "startyear": "2026", "endtime": "evening", "endday": "12", "endmonth": "7",
         "endyear": "2026"},
    ),
    "lists": _of(D, {"name": "news", "members": ["x@else.example", "ann@acme.example"], "digest": ["y@else.example"]}),
    "databases": [{"name": "acme_wp", "users": ["acme_wp", "acme_ro"], "hosts": ["localhost", "192.0.2.10"]}],
    "cron": [
        {"key": "000", "line": "*/5 * * * 1-5 php -q $HOME/cron.php?a=1"},
        {"key": "001", "line": "@daily /home/acme/bin/x"},
        {"key": "MAILTO", "line": "ann@acme.example"},
        {"key": "PATH", "line": "/usr/local/php83/bin:/usr/bin"},
    ],
    "certs": _of(D, {"ssl_on": "yes", "certificate": CERTIFICATE, "key": KEY, "end": "1790000000"}),
    "ftp": _of(
        D,
        {"login": "acme", "path": "/home/acme"},
        {"login": "up@acme.example", "path": "/home/acme/domains/acme.example/public_html/up"},
    ),
}  # fmt: skip
