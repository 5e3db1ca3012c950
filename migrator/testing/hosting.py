"""A made-up hosting account on true servers, for the demo and for tests: an old host, with a panel, and a new one.

The account is that of ``migrator.testing.acme``. The panel is cPanel's sandbox; all else are true servers.
"""

from __future__ import annotations

import imaplib
import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from migrator import registry
from migrator.testing import acme
from migrator.testing.acme import AT, LOGO, OLD_DATABASE, SITE, USERS, Mail
from migrator.testing.sandbox import Clock, Sandbox, serve
from migrator.testing.servers import dovecot, mariadb, openssh, powerdns
from migrator.testing.servers.dovecot import MASTER, MASTER_PASSWORD, PASSWORD, Dovecot
from migrator.testing.servers.mariadb import MariaDB
from migrator.testing.servers.openssh import OpenSSH
from migrator.testing.servers.powerdns import KEY, PowerDNS

SECRETS = {
    "MIGRATOR_DEMO_MAIL": MASTER_PASSWORD,
    "MIGRATOR_DEMO_DNS": KEY,
    "MIGRATOR_DEMO_DATA": mariadb.PASSWORD,
    "MIGRATOR_DEMO_PANEL": "SANDBOX0TOKEN",
}
SPELLED = {"S": "\\Seen", "F": "\\Flagged"}
SIEVE = {"sieve_prefix": "INBOX.", "sieve_separator": ".", "responders": "sieve"}  # how the new Dovecot spells folders
MAIL_KINDS = ["mailbox", "mail_folder", "mail_message"]  # filters are told by the panel


# ---- what lies on the old host ---------------------------------------------------------------------------------------


def fill_mail(server: Dovecot, mails: Iterable[Mail]) -> None:
    """Append messages as a mail program does."""
    by_user: dict[str, list[Mail]] = {}
    for one in mails:
        by_user.setdefault(one.user, []).append(one)
    for user, some in by_user.items():
        with signed_in(server, user) as client:
            for folder in {one.folder for one in some} - {"INBOX"}:
                client.create(folder)
            for one in some:
                flags = " ".join(SPELLED.get(flag, flag) for flag in one.flags)
                client.append(one.folder, f"({flags})", imaplib.Time2Internaldate(one.at), one.body)


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
    (tree / "public_html" / "logo.png").write_bytes(LOGO)
    (tree / "www").symlink_to("public_html")


def fill_zones(folder: Path, domains: Sequence[str] = acme.DOMAINS[:2]) -> None:
    """Write zones as files."""
    folder.mkdir(parents=True, exist_ok=True)
    for domain in domains:
        (folder / f"{domain}.zone").write_text(acme.zone_text(domain), encoding="utf-8")


def fill_database(server: MariaDB) -> None:
    """Make the site's database, its users and their rights."""
    server.sql(f"CREATE DATABASE {OLD_DATABASE} COLLATE utf8mb4_unicode_ci")
    server.sql("SET sql_mode = '';" + acme.DATABASE, database=OLD_DATABASE)
    server.sql(acme.RIGHTS)


def fill_panel(box: Sandbox) -> None:
    """Put the account into cPanel's sandbox, in place of whatever it held."""
    box.store.clear()
    box.state["main"] = acme.MAIN
    for stream, bodies in acme.panel().items():
        registry.connector("cpanel").sandbox.seed(box, stream, bodies)


def archive(path: Path, mails: Sequence[Mail], data: MariaDB) -> Path:
    """Pack the account as cPanel does; the dump of its database is made by the server's own program."""
    program = ["mariadb-dump", "--no-defaults", f"--socket={data.folder}/s", "-uroot", "--routines", "--triggers"]
    dump = subprocess.run(
        [*program, "--hex-blob", OLD_DATABASE], capture_output=True, check=True,
        env={**os.environ, "MYSQL_PWD": mariadb.PASSWORD},
    )  # fmt: skip
    held = {name: (body, AT) for name, body in acme.packed(dump.stdout).items()}
    for number, one in enumerate(mails):
        box = _box(one.user) + ("" if one.folder == "INBOX" else f"/.{one.folder.replace('/', '.')}")
        letters = "".join(sorted("a" if flag == "$Forwarded" else flag for flag in one.flags))
        held[f"{box}/dovecot-keywords"] = (b"0 $Forwarded\n", AT)
        name = f"{box}/cur/{one.at}.M{number}P1.old,S={len(one.body)}:2,{letters}"
        held[name] = (one.body, one.at)
    with tarfile.open(path, "w:gz", compresslevel=1) as packed:
        for name, (body, at) in held.items():
            info = tarfile.TarInfo(f"cpmove-{acme.LOGIN}/{name}")
            info.size, info.mtime, info.mode = len(body), at, 0o644
            packed.addfile(info, io.BytesIO(body))
        link = tarfile.TarInfo(f"cpmove-{acme.LOGIN}/homedir/www")
        link.type, link.linkname, link.mtime = tarfile.SYMTYPE, "public_html", AT
        packed.addfile(link)
    return path


def _box(user: str) -> str:
    name, _, domain = user.partition("@")
    return "homedir/mail" if user == f"{acme.LOGIN}@{acme.MAIN}" else f"homedir/mail/{domain}/{name}"


# ---- the accounts of migration.yaml ----------------------------------------------------------------------------------


def mail_account(server: Dovecot, *, url: str = "", **more: Any) -> dict[str, Any]:
    """Return the part of migration.yaml that opens all mailboxes; ``url``: where else the server is reached."""
    return {
        "vendor": "imap", "url": url or server.url, "secrets": {"password": "env:MIGRATOR_DEMO_MAIL"}, "workers": 2,
        "options": {"master": MASTER, "sieve": f"127.0.0.1:{server.sieve}"},
        "settings": {"mailboxes": " ".join(server.users)}, **more,
    }  # fmt: skip


def files_account(server: OpenSSH, tree: Path) -> dict[str, Any]:
    """Return the part that opens a tree of files."""
    options = {"key_file": str(server.key), "host_key": server.fingerprint, "root": str(tree)}
    return {"vendor": "sftp", "settings": {"host": server.host, "user": server.user}, "workers": 2, "options": options}


def zones_account(server: PowerDNS) -> dict[str, Any]:
    """Return the part that writes zones, read back from port 53."""
    options = {"servers": server.address, "name_servers": "ns1.newhost.example ns2.newhost.example"}
    return {
        "vendor": "powerdns",
        "url": server.url,
        "secrets": {"api_key": "env:MIGRATOR_DEMO_DNS"},
        "options": options,
    }


def data_account(server: MariaDB, *, url: str = "", **options: str) -> dict[str, Any]:
    """Return the part that opens a database server; ``url``: where else it is reached."""
    account: dict[str, Any] = {"vendor": "mysql", "settings": {"host": server.host, "user": "root"}, "workers": 1}
    return account | ({"url": url} if url else {}) | {
        "secrets": {"password": "env:MIGRATOR_DEMO_DATA"}, "options": options,
    }  # fmt: skip


def panel_account(url: str) -> dict[str, Any]:
    """Return the part that asks the panel."""
    return {
        "vendor": "cpanel", "url": url, "settings": {"user": acme.LOGIN}, "options": SIEVE,
        "secrets": {"token": "env:MIGRATOR_DEMO_PANEL"},
    }  # fmt: skip


def archive_account(path: Path) -> dict[str, Any]:
    """Return the side that reads an archive."""
    return {"vendor": "cpanel_archive", "settings": {"archive": str(path)}, "options": SIEVE, "workers": 2}


@dataclass(frozen=True)
class Hosts:
    """The host to leave and the one to go to; their files lie on this disk."""

    old_mail: Dovecot
    new_mail: Dovecot
    ssh: OpenSSH
    dns: PowerDNS
    old_data: MariaDB
    new_data: MariaDB
    box: Sandbox
    panel: str
    old_tree: Path
    new_tree: Path
    mails: Sequence[Mail] = field(default_factory=acme.mails)
    ends: ExitStack = field(default_factory=ExitStack)

    def fill(self) -> None:
        """Put the account on the old host."""
        os.environ.update(SECRETS)
        for tree in (self.old_tree, self.new_tree):
            tree.mkdir(parents=True, exist_ok=True)
        fill_mail(self.old_mail, self.mails)
        fill_site(self.old_tree)
        fill_database(self.old_data)
        fill_panel(self.box)

    def source(self) -> dict[str, Any]:
        """Return the old host as a side of migration.yaml: what has a server of its own, and the panel for the rest."""
        return {"parts": {
            "mail": mail_account(self.old_mail, kinds=MAIL_KINDS),
            "files": files_account(self.ssh, self.old_tree),
            "data": data_account(self.old_data, databases=OLD_DATABASE),
            "panel": panel_account(self.panel),
        }}  # fmt: skip

    def destination(self, *, mail_url: str = "", data_url: str = "") -> dict[str, Any]:
        """Return the new host as a side; ``mail_url`` and ``data_url``: where else these servers are reached."""
        return {"parts": {
            "mail": mail_account(self.new_mail, url=mail_url),
            "files": files_account(self.ssh, self.new_tree),
            "dns": zones_account(self.dns),
            "data": data_account(self.new_data, url=data_url, databases=acme.NEW_DATABASE),
        }}  # fmt: skip

    def close(self) -> None:
        """End the servers."""
        self.ends.close()


def started(folder: Path, *, fill: bool = True) -> Hosts:
    """Start the servers in a folder, the old host filled. Raises Unavailable where one cannot run here."""
    with ExitStack() as stack:

        def run(name: str, start: Callable[..., Any], **how: Any) -> Any:
            (folder / name).mkdir(parents=True)
            server = start(folder / name, **how)
            stack.callback(server.stop)
            return server

        old = run("old-mail", dovecot.start, users=USERS, layout=":LAYOUT=fs")
        new = run("new-mail", dovecot.start, users=USERS, prefix="INBOX.", separator=".")
        ssh, dns = run("ssh", openssh.start), run("dns", powerdns.start)
        data, there = run("old-data", mariadb.start), run("new-data", mariadb.start)
        box = registry.connector("cpanel").sandbox.create(clock=Clock(real=True), limits=False)
        trees = (folder / "old", folder / "new")
        hosts = Hosts(old, new, ssh, dns, data, there, box, stack.enter_context(serve(box)), *trees, ends=stack)
        if fill:
            hosts.fill()
        return replace(hosts, ends=stack.pop_all())
