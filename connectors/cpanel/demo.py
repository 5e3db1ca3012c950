"""A made-up account with one of everything, for the sandbox."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from migrator.testing.sandbox import Native, Sandbox

from . import sandbox

ZONE = "acme.example"
LINES: tuple[tuple[Any, ...], ...] = (
    (
        "acme.example.",
        "SOA",
        86400,
        "ns1.old.example.",
        "root.acme.example.",
        "2026010101",
        "3600",
        "1800",
        "1209600",
        "86400",
    ),
    ("acme.example.", "NS", 86400, "ns1.old.example."),
    ("acme.example.", "A", 14400, "192.0.2.10"),
    ("acme.example.", "MX", 14400, "0", "acme.example."),
    ("acme.example.", "TXT", 14400, 'v=spf1 +a "+mx" ip4:192.0.2.10 ~all; é'),
    ("acme.example.", "CAA", 14400, "0", "issue", "letsencrypt.org"),
    ("www", "CNAME", 14400, "acme.example."),
    ("shop", "CNAME", 300, "shops"),
    ("default._domainkey", "TXT", 14400, "v=DKIM1; k=rsa; p=" + "A" * 237, "B" * 160),
    ("_sip._tcp", "SRV", 14400, "10", "60", "5060", "sip.acme.example."),
    ("cpanel", "A", 14400, "192.0.2.10"),
    ("webmail", "A", 14400, "192.0.2.99"),
    ("_acme-challenge.www", "TXT", 60, "x"),
)


def fill(box: Sandbox) -> None:
    """Put the account in."""
    for stream, bodies in RECORDS.items():
        sandbox.seed(box, stream, bodies)
    lines: list[Native] = [
        {"zone": ZONE, "line": {"type": "control", "line_index": 0, "text_b64": _coded("$TTL 14400")}}
    ]
    for index, (name, type, ttl, *data) in enumerate(LINES, start=1):
        line = {"dname_b64": _coded(name), "record_type": type, "data_b64": [_coded(one) for one in data], "ttl": ttl}
        lines.append({"zone": ZONE, "line": {**line, "line_index": index, "type": "record"}})
    sandbox.seed(box, "zone_lines", lines)


def _coded(text: str) -> str:
    return b64encode(text.encode()).decode()


def _filter(name: str, part: str, action: str, dest: str, **more: Any) -> Native:
    rules = [{"part": part, "match": "contains", "val": "[SPAM]", "opt": "or"}]
    return {"filtername": name, "enabled": 1, "rules": rules, "actions": [{"action": action, "dest": dest}], **more}


ANN, JUNK = "ann@acme.example", "$home/mail/acme.example/ann/.Junk"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBCg==\n-----END CERTIFICATE-----\n"
RECORDS: dict[str, list[Native]] = {
    "domains": [
        {"sort": "addon", "domain": "second.example"},
        {"sort": "sub", "domain": "blog.second.example", "folder": "second.example/blog"},
        {"sort": "parked", "domain": "acme.test"},
    ],
    "mxs": [{"domain": "acme.example", "detected": "local"}, {"domain": "second.example", "detected": "remote"}],
    "pops": [
        {"email": f"{who}@acme.example", "domain": "acme.example", "user": who, "login": f"{who}@acme.example",
         "_diskquota": quota, "_diskused": 2048, "diskquota": quota / 2**20 or "unlimited", "suspended_login": off}
        for who, quota, off in (("ann", 262144000, 0), ("bob", 0, 1))
    ],
    "forwarders": [
        {"dest": "sales@acme.example", "forward": "ann@acme.example"},
        {"dest": "sales@acme.example", "forward": "bob@acme.example, out@elsewhere.example"},
        {"dest": "hook@acme.example", "forward": "|/home/acme/bin/ticket --new"},
    ],
    "domain_forwarders": [{"dest": "second.example", "forward": "acme.example"}],
    "default_addresses": [
        {"domain": "acme.example", "defaultaddress": '":fail: No such person here"'},
        {"domain": "second.example", "defaultaddress": "acme"},
    ],
    "autoresponders": [
        {"email": "ann@acme.example", "from": "Ann", "subject": "Away", "body": "Back on Monday.\n", "interval": 24,
         "is_html": 0, "start": 1719792000, "stop": None, "charset": "utf-8"},
    ],
    "filters": [
        {"account": "ann@acme.example", **_filter("spam", "$header_subject:", "save", JUNK)},
        {"account": "ann@acme.example", **_filter("body", "$message_body", "fail", "no")},
        {"account": "bob@acme.example", **_filter("to ann", "$header_from:", "deliver", ANN, enabled="0")},
    ],
    "lists": [{"list": "news@acme.example", "listadmin": "ann@acme.example,bob@acme.example", "accesstype": "private"}],
    "php": [{"vhost": "acme.example", "version": "ea-php83", "documentroot": "/home/acme/public_html"}],
    "redirects": [
        {"domain": "acme.example", "source": "/old", "sourceurl": "/old", "destination": "https://acme.example/new",
         "statuscode": "301", "type": "permanent", "wildcard": 1, "kind": "rewrite"},
    ],
    "databases": [{"database": "acme_wp", "disk_usage": 16384, "users": ["acme_wp"]}],
    "database_users": [{"user": "acme_wp", "shortuser": "wp", "databases": ["acme_wp"]}],
    "rights": [{"user": "acme_wp", "database": "acme_wp", "rights": ["SELECT", "INSERT", "CREATE"]}],
    "cron": [
        {"minute": "*/5", "hour": "*", "day": "*", "month": "*", "weekday": "1-5", "command": "php -q $HOME/cron.php",
         "line": 1},
    ],
    "certs": [
        {"id": "acme_1", "domains": ["acme.example", "www.acme.example"], "not_after": 1790000000, "pem": CERTIFICATE},
    ],
    "ftp": [
        {"login": "acme", "serverlogin": "acme", "accttype": "main", "reldir": "", "diskquota": "unlimited",
         "_diskquota": 0},
        {"login": "up", "serverlogin": "up@acme.example", "accttype": "sub", "reldir": "public_html/up",
         "_diskquota": "500"},
    ],
}  # fmt: skip
