"""A made-up hosting account: ten mailboxes, three domains, a small PHP site with a database, and what a panel adds.

Everything of the old host that has to change at the new one is in it: addresses, paths, names of databases. It is told
once, and given as a panel lists it (``panel``), as cPanel packs it (``packed``), and as files and statements.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

Native = dict[str, Any]
LOGIN, MAIN = "acme", "example.com"
DOMAINS = (MAIN, "example.org", "example.net")
USERS = (
    *(f"{user}@example.com" for user in ("ann", "acme", "bob", "carl", "dora")),
    *(f"{user}@example.org" for user in ("shop", "orders", "news")),
    *(f"{user}@example.net" for user in ("info", "box")),
)
OLD_IP, NEW_IP = "192.0.2.10", "198.51.100.20"
OLD_HOME, NEW_HOME = "/home/acme", "/srv/www/acme-2026"
OLD_DATABASE, NEW_DATABASE = "acme_wp", "wp"
OLD_HOST, NEW_HOST = "server7.oldhost.example", "mail.newhost.example"
AT = 1_700_000_000
REWRITE: list[Native] = [
    {"what": "ip", "old": OLD_IP, "new": NEW_IP},
    {"what": "path", "old": OLD_HOME, "new": NEW_HOME},
    {"what": "name", "old": OLD_DATABASE, "new": NEW_DATABASE},
    {"what": "host", "old": OLD_HOST, "new": NEW_HOST},
]
CUTOVER: Native = {"record_set": {"type": ["MX"]}}

# ---- zones -----------------------------------------------------------------------------------------------------------

SPF = "v=spf1 ip4:192.0.2.10 ip4:192.0.2.100 include:oldhost.example -all"
SOA = ("ns1.oldhost.example.", "root.oldhost.example.")
LINES: tuple[tuple[str, int, str, tuple[str, ...]], ...] = (  # name, TTL, type, data
    ("@", 86400, "SOA", (*SOA, "2026112600", "7200", "900", "1209600", "600")),
    ("@", 86400, "NS", ("ns1.oldhost.example.",)),
    ("@", 86400, "NS", ("ns2.oldhost.example.",)),
    ("@", 300, "A", (OLD_IP,)),
    ("@", 3600, "MX", ("10", f"{OLD_HOST}.")),
    ("@", 3600, "TXT", (SPF,)),
    ("default._domainkey", 14400, "TXT", ("v=DKIM1; k=rsa; p=" + "A" * 237, "B" * 160)),
    ("www", 14400, "CNAME", ("@",)),
    ("shop", 14400, "A", (OLD_IP,)),
    ("cpanel", 14400, "A", (OLD_IP,)),
    ("_imaps._tcp", 14400, "SRV", ("0", "1", "993", f"{OLD_HOST}.")),
)  # fmt: skip


def zone_text(domain: str) -> str:
    """Return a domain's zone as a file."""
    told = [f"$ORIGIN {domain}.", "$TTL 14400"]
    for name, ttl, type, data in LINES:
        words = [f'"{one}"' for one in data] if type == "TXT" else data
        told.append(f"{name} {ttl} IN {type} {' '.join(words)}")
    return "\n".join(told) + "\n"


def _zone_lines(domain: str) -> Iterator[Native]:
    yield {"zone": domain, "line": {"type": "control", "line_index": 0, "text_b64": _coded("$TTL 14400")}}
    for index, (name, ttl, type, data) in enumerate(LINES, start=1):
        named, told = (f"{domain}." if name == "@" else name), [f"{domain}." if one == "@" else one for one in data]
        line = {"dname_b64": _coded(named), "record_type": type, "data_b64": [_coded(one) for one in told], "ttl": ttl}
        yield {"zone": domain, "line": {**line, "line_index": index, "type": "record"}}


def _coded(text: str) -> str:
    return b64encode(text.encode()).decode()


# ---- files and the database ------------------------------------------------------------------------------------------


def php(*pairs: tuple[str, str]) -> str:
    """Return texts by their names as PHP serialises them: each tells its length in bytes."""
    said = "".join(f's:{len(text.encode())}:"{text}";' for pair in pairs for text in pair)
    return f"a:{len(pairs)}:{{{said}}}"


CACHE = php(
    ("siteurl", "http://192.0.2.10/s\u00fc\u00dfe/"),
    ("path", "/home/acme/public_html/wp-cont\u00e9"),
    ("widget", php(("inner", "/home/acme"))),
)
SITE = {
    "public_html/index.php": "<?php require __DIR__ . '/wp-config.php'; echo 'hello';\n",
    "public_html/.htaccess": (
        "RewriteEngine On\nRedirect 301 /old http://192.0.2.10/new\nAuthUserFile /home/acme/.htpasswds/site\n"
        "Require ip 192.0.2.100\n"
    ),
    "public_html/wp-config.php": (
        "<?php\ndefine('DB_NAME', 'acme_wp');\ndefine('DB_HOST', 'server7.oldhost.example');\n"
        "define('WP_CONTENT_DIR', '/home/acme/public_html/wp-content');\n"
    ),
    "public_html/cache/options.ser": CACHE,
    "crontab.txt": "MAILTO=ann@example.com\n*/5 * * * * php /home/acme/public_html/cron.php >/dev/null\n",
    "public_html/notes.txt": "nothing to change here: 192.0.2.101 is somebody else's\n",
}
LOGO = b"\x89PNG\r\n\x1a\n\0\0 made in /home/acme"
DATABASE = r"""
CREATE TABLE wp_options (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(191) UNIQUE, value LONGTEXT) ENGINE=InnoDB;
INSERT INTO wp_options (name, value) VALUES ('siteurl', 'http://192.0.2.10'), ('blogname', 'Süßes & "mehr" 😀'), ('empty', ''), ('none', NULL);
CREATE TABLE wp_posts (id INT PRIMARY KEY, author INT, title TEXT, body LONGTEXT, raw VARBINARY(20), at DATETIME) ENGINE=InnoDB;
INSERT INTO wp_posts VALUES (1, 1, 'Hello; world', 'It''s -- no comment', x'00FF27', '0000-00-00'), (2, 1, 'Zwei', REPEAT('long ', 2000), NULL, NULL);
CREATE TABLE wp_log (what VARCHAR(99), who VARCHAR(99)) ENGINE=MyISAM;
INSERT INTO wp_log VALUES ('a', NULL), ('a', NULL);
CREATE VIEW recent AS SELECT id, title FROM wp_posts;
CREATE VIEW newest AS SELECT MAX(id) AS id FROM recent;
DELIMITER ;;
CREATE TRIGGER noted AFTER INSERT ON wp_posts FOR EACH ROW INSERT INTO wp_log VALUES (CONCAT('post;', NEW.id), CURRENT_USER());;
CREATE PROCEDURE tidy() BEGIN DELETE FROM wp_log; END;;
DELIMITER ;
"""  # noqa: E501
HASH = "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"  # of "password"
RIGHTS = (
    f"CREATE USER acme_wp@localhost IDENTIFIED BY PASSWORD '{HASH}';"
    f"CREATE USER acme_ro@'{OLD_IP}' IDENTIFIED BY PASSWORD '{HASH}';"
    f"GRANT ALL ON `acme\\_wp`.* TO acme_wp@localhost; GRANT SELECT, SHOW VIEW ON `acme\\_wp`.* TO acme_ro@'{OLD_IP}'"
)  # fmt: skip

# ---- mail ------------------------------------------------------------------------------------------------------------

ODD = (  # the demo's; tests bring more
    b"Subject: a NUL\r\n\r\nbefore \x00 after\r\n",
    b"\r\n",
    b"no head at all",
    b"Subject: bare\nline\nends\n\nbody\n",
    b"Subject: \xff\xfe raw\r\nX-Odd : blank before the colon\r\n broken\r\nnot a field\r\n\r\nbody\r\n",
    b"Subject: " + b"long " * 4000 + b"\r\n\r\n" + b"x" * 200_000 + b"\r\n",
)
FOLDERS = ("INBOX", "Archive/2024")
SORTS = (("S",), ("F", "$Forwarded"))  # flags as letters of Maildir, and keywords
Seen = Counter[tuple[str, str, tuple[str, ...], int]]


@dataclass(frozen=True)
class Mail:
    """A message where it lies; ``flags`` as ``SORTS``, ``at`` in seconds."""

    user: str
    folder: str
    flags: tuple[str, ...]
    at: int
    body: bytes

    @property
    def seen(self) -> tuple[str, str, tuple[str, ...], int]:
        """Return what the disk of a Dovecot says of it, which keeps no NUL in what it hands over."""
        kept = self.body.replace(b"\r\n", b"\n").replace(b"\0", b"\x80")
        return self.user, hashlib.sha256(kept).hexdigest(), tuple(sorted(self.flags)), self.at


def message(number: int, subject: str, to: str) -> bytes:
    """Return a message as it comes over the wire."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "Carol <carol@elsewhere.example>", to, subject
    made["Message-ID"] = f"<{number}@elsewhere.example>"
    made["Date"] = "Tue, 14 Nov 2023 22:13:20 +0000"
    made.set_content(f"Message {number}.\nGr\u00fc\u00dfe\n")
    return made.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def mails(odd: Sequence[bytes] = ODD, *, each: int = 2) -> list[Mail]:
    """Return ``each`` messages in each folder of every mailbox, the first of a folder twice, and odd ones in Ann's."""
    found: list[Mail] = []
    for user in USERS:
        for folder in FOLDERS:
            bodies = [message(len(found) + nth, f"Invoice {len(found) + nth}", user) for nth in range(each)]
            bodies = [*bodies, bodies[0], *(odd if (user, folder) == (USERS[0], "INBOX") else ())]
            found += [
                Mail(user, folder, SORTS[n % 2], AT + len(found) + n, body) for n, body in enumerate(bodies, start=1)
            ]
    return found


# ---- what a panel keeps ----------------------------------------------------------------------------------------------

AWAY = "Back on Monday; urgent: http://192.0.2.10/contact\n"
RESPONDERS = {  # address to hours between two answers
    "ann@example.com": 72,
    "dora@example.com": 0,
}
FORWARDERS = {
    "sales@example.com": ["ann@example.com", "out@elsewhere.example"],
    "bob@example.com": ["bob@example.com", "ann@example.com"],
    "hook@example.org": ["|/home/acme/bin/ticket --new"],
}
CATCH_ALLS = {"example.com": ":fail: No such person here", "example.org": "shop@example.org"}
CRON = ("*/5 * * * *", "php -q /home/acme/public_html/cron.php")


def _filter(name: str, value: str, action: str, dest: str, enabled: int = 1) -> Native:
    rules = [{"part": "$header_subject:", "match": "contains", "val": value, "opt": "or"}]
    return {"filtername": name, "enabled": enabled, "rules": rules, "actions": [{"action": action, "dest": dest}]}


FILTERS = {
    "ann@example.com": [_filter("invoices", "invoice", "save", "$home/mail/example.com/ann/.Archive.2024")],
    "bob@example.com": [_filter("by a program", "robot", "pipe", "/home/acme/bin/robot")],
    "shop@example.org": [_filter("off", "x", "deliver", "ann@example.com", 0)],
}


def panel() -> dict[str, list[Native]]:
    """Return the account as the functions of cPanel list it: stream of its sandbox to rows."""
    pops = [
        {"email": user, "domain": user.partition("@")[2], "user": user.partition("@")[0], "login": user,
         "_diskquota": 262144000, "_diskused": 2048, "diskquota": 250, "suspended_login": 0}
        for user in USERS if user != f"{LOGIN}@{MAIN}"
    ]  # fmt: skip
    responders = [
        {"email": user, "from": user, "subject": "Re: %subject%", "body": AWAY, "interval": hours, "is_html": 0,
         "start": None, "stop": None, "charset": "utf-8"}
        for user, hours in RESPONDERS.items()
    ]  # fmt: skip
    redirect = {"domain": MAIN, "source": "/old", "sourceurl": "/old", "destination": "http://192.0.2.10/new",
                "statuscode": "301", "type": "permanent", "wildcard": 0, "kind": "rewrite"}  # fmt: skip
    minute, hour, day, month, weekday = CRON[0].split()
    return {
        "domains": [{"sort": "addon", "domain": "example.org"}, {"sort": "parked", "domain": "example.net"}],
        "mxs": [{"domain": domain, "detected": "local"} for domain in DOMAINS],
        "pops": pops,
        "forwarders": [{"dest": to, "forward": one} for to, some in FORWARDERS.items() for one in some],
        "default_addresses": [{"domain": domain, "defaultaddress": to} for domain, to in CATCH_ALLS.items()],
        "autoresponders": responders,
        "filters": [{"account": user, **one} for user, some in FILTERS.items() for one in some],
        "redirects": [redirect],
        "cron": [{"minute": minute, "hour": hour, "day": day, "month": month, "weekday": weekday, "line": 1,
                  "command": CRON[1]}],
        "ftp": [{"login": "up", "serverlogin": f"up@{MAIN}", "accttype": "sub", "reldir": "public_html/up",
                 "_diskquota": "500"}],
        "zone_lines": [line for domain in DOMAINS for line in _zone_lines(domain)],
    }  # fmt: skip


def packed(dump: bytes) -> dict[str, bytes]:
    """Return the account as cPanel packs it, but for mail: path to content; ``dump`` is that of the database."""
    main, addon, _ = DOMAINS
    told = {
        "version": "archive_version: 4\n",
        f"cp/{LOGIN}": f"USER={LOGIN}\nDNS={main}\nPHPVERSION=ea-php83\n",
        "homedir_paths": f"{OLD_HOME}\n",
        "userdata/main": f"main_domain: {main}\naddon_domains:\n  {addon}: org.{main}\n"
        f"parked_domains: [{DOMAINS[2]}]\nsub_domains: [org.{main}]\n",
        f"userdata/{main}": f"servername: {main}\nserveralias: www.{main}\ndocumentroot: {OLD_HOME}/public_html\n",
        f"userdata/org.{main}": f"servername: org.{main}\ndocumentroot: {OLD_HOME}/public_html\n",
        f"cron/{LOGIN}": f"MAILTO=ann@example.com\n{CRON[0]} {CRON[1]}\n",
        "proftpdpasswd": f"up@{main}:$6$b:1000:1000:acme:{OLD_HOME}/public_html/up:/bin/false\n",
        "mysql.sql": _mysql_sql(),
    } | {f"dnszones/{domain}.db": zone_text(domain) for domain in DOMAINS}
    for domain in DOMAINS:
        users = [user.partition("@")[0] for user in USERS if user.endswith(f"@{domain}")]
        some = [user for user in users if f"{user}@{domain}" != f"{LOGIN}@{MAIN}"]
        told[f"homedir/etc/{domain}/passwd"] = "".join(f"{user}:x:1000:1000::/x:/bin/false\n" for user in some)
        told[f"homedir/etc/{domain}/shadow"] = "".join(f"{user}:$6$salt$hash:16000::::::\n" for user in some)
        lines = {to: ",".join(_va(to, one) for one in told_) for to, told_ in FORWARDERS.items()}
        lines |= {user: _responds(user, lines.get(user)) for user in RESPONDERS}
        lines |= {f"*@{domain}": f'"{CATCH_ALLS[domain]}"'} if domain in CATCH_ALLS else {}
        own = {to: text for to, text in lines.items() if to.endswith(f"@{domain}")}
        told[f"va/{domain}"] = "".join(f"{'*' if to.startswith('*') else to}: {text}\n" for to, text in own.items())
    for user, hours in RESPONDERS.items():
        told[f"homedir/.autorespond/{user}"] = (
            f"From: {user}\nContent-type: text/plain\nSubject: Re: %subject%\n\n{AWAY}"
        )
        told[f"homedir/.autorespond/{user}.json"] = json.dumps({"start": 0, "stop": 0, "interval": hours})
    for user, some_ in FILTERS.items():
        name, _, domain = user.partition("@")
        told[f"homedir/etc/{domain}/{name}/filter.yaml"] = json.dumps({"filter": some_})  # JSON is YAML
    told |= {f"homedir/{path}": text for path, text in SITE.items()}
    files = {path: text.encode() for path, text in told.items()}
    return files | {"homedir/public_html/logo.png": LOGO, f"mysql/{OLD_DATABASE}.sql": dump}


def _va(address: str, to: str) -> str:
    return f'"{to}"' if to.startswith("|") else to


def _responds(address: str, others: str | None) -> str:
    said = f'"|/usr/local/cpanel/bin/autorespond {address} {OLD_HOME}/.autorespond"'
    return f"{others},{said}" if others else said


def _mysql_sql() -> str:
    return (
        f"GRANT USAGE ON *.* TO 'acme_wp'@'localhost' IDENTIFIED BY PASSWORD '{HASH}';\n"
        "GRANT ALL PRIVILEGES ON `acme\\_wp`.* TO 'acme_wp'@'localhost';\n"
        f"GRANT USAGE ON *.* TO 'acme_ro'@'{OLD_IP}' IDENTIFIED BY PASSWORD '{HASH}';\n"
        f"GRANT SELECT, SHOW VIEW ON `acme\\_wp`.* TO 'acme_ro'@'{OLD_IP}';\n"
    )
