"""A made-up hosting account on true servers: mailboxes, a filter, a small PHP site, zones; for the demo and for tests.

Everything of the old host that has to change at the new one is in it: addresses, paths, names of databases.
"""

from __future__ import annotations

import imaplib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from migrator.testing.servers import dovecot, openssh, powerdns
from migrator.testing.servers.dovecot import MASTER, MASTER_PASSWORD, PASSWORD, Dovecot
from migrator.testing.servers.openssh import OpenSSH
from migrator.testing.servers.powerdns import KEY, PowerDNS

USERS = ("ann@example.com", "bob@example.com", "shop@example.org")
OLD_IP, NEW_IP = "192.0.2.10", "198.51.100.20"
OLD_HOME, NEW_HOME = "/home/acme", "/srv/www/acme-2026"
OLD_DATABASE, NEW_DATABASE = "acme_wp", "wp"
OLD_HOST, NEW_HOST = "server7.oldhost.example", "mail.newhost.example"
AT = 1_700_000_000
SIEVE = """require ["fileinto", "vacation"];
# server7.oldhost.example wrote this
if header :contains "subject" "invoice" { fileinto "Archive/2024"; }
vacation :days 3 "Back on Monday; urgent: http://192.0.2.10/contact";
"""
ZONE = """$ORIGIN {zone}
$TTL 3600
@ IN SOA ns1.oldhost.example. hostmaster {serial} 7200 900 1209600 600
@ IN NS ns1.oldhost.example.
@ IN NS ns2.oldhost.example.
@ 300 IN A 192.0.2.10
@ IN MX 10 server7.oldhost.example.
@ IN TXT "v=spf1 ip4:192.0.2.10 ip4:192.0.2.100 include:oldhost.example -all"
www IN CNAME @
shop IN A 192.0.2.10
_imaps._tcp IN SRV 0 1 993 server7.oldhost.example.
"""


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


REWRITE = [
    {"what": "ip", "old": OLD_IP, "new": NEW_IP},
    {"what": "path", "old": OLD_HOME, "new": NEW_HOME},
    {"what": "name", "old": OLD_DATABASE, "new": NEW_DATABASE},
    {"what": "host", "old": OLD_HOST, "new": NEW_HOST},
]
CUTOVER = {"record_set": {"type": ["MX"]}}


def message(number: int, subject: str, to: str) -> bytes:
    """Return a message as it comes over the wire."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "Carol <carol@elsewhere.example>", to, subject
    made["Message-ID"] = f"<{number}@elsewhere.example>"
    made["Date"] = "Tue, 14 Nov 2023 22:13:20 +0000"
    made.set_content(f"Message {number}.\nGr\u00fc\u00dfe\n")
    return made.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def fill_mail(server: Dovecot, *, each: int = 4) -> int:
    """Put ``each`` messages into each of two folders of every mailbox, one of them twice, and a filter into the first
    mailbox; return how many messages that is."""
    number = 0
    for user in server.users:
        with signed_in(server, user) as client:
            client.create("Archive/2024")
            for folder in ("INBOX", "Archive/2024"):
                for nth in range(each):
                    number += 1
                    body = message(number - (nth == 1), f"Invoice {number}", user)  # the second is the first again
                    flags = "(\\Seen)" if nth % 2 else "(\\Flagged $Forwarded)"
                    client.append(folder, flags, imaplib.Time2Internaldate(AT + number), body)
    scripts = server.home(server.users[0])
    (scripts / "sieve").mkdir(parents=True, exist_ok=True)
    (scripts / "sieve" / "main.sieve").write_text(SIEVE, encoding="utf-8")
    (scripts / ".dovecot.sieve").symlink_to("sieve/main.sieve")
    for path in (scripts / "sieve", scripts / "sieve" / "main.sieve"):
        shutil.chown(path, "mail", "mail")
    return number


@contextmanager
def signed_in(server: Dovecot, user: str) -> Iterator[imaplib.IMAP4]:
    """Give a mail program's view of a mailbox."""
    client = imaplib.IMAP4("127.0.0.1", server.imap)
    try:
        client.login(user, PASSWORD)
        yield client
    finally:
        client.logout()


def fill_site(tree: Path) -> None:
    """Put the site into a folder."""
    for path, text in SITE.items():
        file = tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
        os.utime(file, (AT, AT))
    (tree / "public_html" / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0 made in /home/acme")
    (tree / "www").symlink_to("public_html")


def fill_zones(folder: Path) -> None:
    """Write the zones' files."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, zone in enumerate(("example.com.", "example.org.")):
        text = ZONE.format(zone=zone, serial=2026112600 + number)
        (folder / f"{zone}zone").write_text(text, encoding="utf-8")


def mail_account(server: Dovecot, *, url: str = "") -> dict[str, Any]:
    """Return the part of migration.yaml that opens all mailboxes; ``url``: where else the server is reached."""
    os.environ["MIGRATOR_DEMO_MAIL"] = MASTER_PASSWORD
    return {
        "vendor": "imap", "url": url or server.url, "secrets": {"password": "env:MIGRATOR_DEMO_MAIL"}, "workers": 2,
        "options": {"master": MASTER, "sieve": f"127.0.0.1:{server.sieve}"},
        "settings": {"mailboxes": " ".join(server.users)},
    }  # fmt: skip


def files_account(server: OpenSSH, tree: Path) -> dict[str, Any]:
    """Return the part that opens a tree of files."""
    options = {"key_file": str(server.key), "host_key": server.fingerprint, "root": str(tree)}
    return {"vendor": "sftp", "settings": {"host": server.host, "user": server.user}, "workers": 2, "options": options}


def zones_account(server: PowerDNS) -> dict[str, Any]:
    """Return the part that writes zones, read back from port 53."""
    os.environ["MIGRATOR_DEMO_DNS"] = KEY
    options = {"servers": server.address, "name_servers": "ns1.newhost.example ns2.newhost.example"}
    return {
        "vendor": "powerdns",
        "url": server.url,
        "secrets": {"api_key": "env:MIGRATOR_DEMO_DNS"},
        "options": options,
    }


@dataclass(frozen=True)
class Hosts:
    """The host to leave and the one to go to; their files lie on this disk. ``stop`` are the servers to end."""

    old_mail: Dovecot
    new_mail: Dovecot
    ssh: OpenSSH
    dns: PowerDNS
    old_tree: Path
    new_tree: Path
    old_zones: Path

    def fill(self) -> None:
        """Put the account on the old host."""
        for tree in (self.old_tree, self.new_tree):
            tree.mkdir(parents=True, exist_ok=True)
        fill_mail(self.old_mail)
        fill_site(self.old_tree)
        fill_zones(self.old_zones)

    def sides(self, *, mail_url: str = "") -> dict[str, Any]:
        """Return source and destination of migration.yaml; ``mail_url``: where else the new mail server is reached."""
        old = {
            "mail": mail_account(self.old_mail),
            "files": files_account(self.ssh, self.old_tree),
            "dns": {"vendor": "zone_file", "settings": {"folder": str(self.old_zones)}},
        }
        new = {
            "mail": mail_account(self.new_mail, url=mail_url),
            "files": files_account(self.ssh, self.new_tree),
            "dns": zones_account(self.dns),
        }
        return {"source": {"parts": old}, "destination": {"parts": new}}

    def close(self) -> None:
        """End the servers."""
        for server in (self.old_mail, self.new_mail, self.ssh, self.dns):
            server.stop()


def started(folder: Path) -> Hosts:
    """Start the servers in a folder, the old host filled. Raises Unavailable where one cannot run here."""
    running: list[Any] = []

    def run(name: str, start: Callable[..., Any], **how: Any) -> Any:
        (folder / name).mkdir(parents=True)
        running.append(start(folder / name, **how))
        return running[-1]

    try:
        old = run("old-mail", dovecot.start, users=USERS, layout=":LAYOUT=fs")
        new = run("new-mail", dovecot.start, users=USERS, prefix="INBOX.", separator=".")
        ssh, dns = run("ssh", openssh.start), run("dns", powerdns.start)
        hosts = Hosts(old, new, ssh, dns, folder / "old", folder / "new", folder / "zones")
        hosts.fill()
    except BaseException:
        for server in running:
            server.stop()
        raise
    return hosts
