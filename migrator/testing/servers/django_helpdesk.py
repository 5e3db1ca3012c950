"""A private django-helpdesk (PyPI's) under gunicorn: a host project of one file, SQLite or PostgreSQL, no mail sent."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from migrator.testing.servers.packages import Unavailable
from migrator.testing.servers.postgresql import Cluster
from migrator.testing.servers.process import Process, free_port

DATABASE, PRISTINE = "desk", "desk_pristine"
TOKEN = "0123456789abcdef0123456789abcdef01234567"
PACKAGES = {"helpdesk": "django-helpdesk", "gunicorn": "gunicorn"}
# `python desk.py migrate`, `loaddata`, `dumpdata` as with any manage.py; `desk:application` for gunicorn.
PROJECT = '''\
"""A Django project that holds django-helpdesk and nothing else."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
os.environ["DJANGO_SETTINGS_MODULE"] = "desk"
sys.path.insert(0, str(HERE))
sys.modules.setdefault("desk", sys.modules[__name__])

SECRET_KEY = "only for a test on this machine"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
ROOT_URLCONF = "desk"
SITE_ID = 1
LOGIN_URL = "/login/"
USE_TZ, TIME_ZONE = True, "UTC"
STATIC_URL, MEDIA_URL, MEDIA_ROOT = "/static/", "/media/", str(HERE / "media")
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024 * 1024
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Every mail it would send becomes a file here.
EMAIL_BACKEND, EMAIL_FILE_PATH = "django.core.mail.backends.filebased.EmailBackend", str(HERE / "mails")
HELPDESK_TEAMS_MODE_ENABLED = False

_DJANGO = ("admin", "auth", "contenttypes", "humanize", "messages", "sessions", "sites", "staticfiles")
_APPS = [f"django.contrib.{app}" for app in _DJANGO]
INSTALLED_APPS = [*_APPS, "rest_framework", "rest_framework.authtoken", "helpdesk"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
_CONTEXT = [
    "django.template.context_processors.request",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": _CONTEXT},
    }
]
SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": str(HERE / "desk.sqlite3"),
    "OPTIONS": {
        "timeout": 30,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
    },
}
POSTGRESQL = {"ENGINE": "django.db.backends.postgresql", "NAME": "desk", "USER": "postgres", "HOST": "127.0.0.1"}
PORT = ""
DATABASES = {"default": {**POSTGRESQL, "PORT": PORT} if PORT else SQLITE}
REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.TokenAuthentication"]}


def __getattr__(name):
    """What needs the settings above is made when it is asked for."""
    if name == "urlpatterns":
        from django.urls import include, path
        from django.views.static import serve

        media = path("media/<path:path>", serve, {"document_root": MEDIA_ROOT})
        return [media, path("", include("helpdesk.urls", namespace="helpdesk"))]
    if name == "application":
        from django.core.wsgi import get_wsgi_application

        return get_wsgi_application()
    raise AttributeError(name)


if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
'''


@dataclass
class DjangoHelpdesk:
    """A running instance. ``command`` is its ``manage.py``; ``media`` the folder of its attachments."""

    folder: Path
    port: int
    process: Process
    token: str = TOKEN
    cluster: Cluster | None = None  # where the database is PostgreSQL's

    @property
    def url(self) -> str:
        """Return the address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def command(self) -> list[str]:
        """Return the host project's command."""
        return [sys.executable, str(self.folder / "desk.py")]

    @property
    def media(self) -> Path:
        """Return the folder the attachments lie in."""
        return self.folder / "media"

    @property
    def database(self) -> Path:
        """Return the SQLite file."""
        return self.folder / "desk.sqlite3"

    @property
    def mails(self) -> list[Path]:
        """Return the mails it sent, a file each."""
        return sorted((self.folder / "mails").glob("*"))

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the server's own database; what is changed is kept."""
        if self.cluster:
            return self.cluster.ask(sql.replace("?", "%s"), values, database=DATABASE)
        with closing(sqlite3.connect(self.database, timeout=30)) as connection, connection:
            return connection.execute(sql, values).fetchall()

    def count(self, table: str, where: str = "1 = 1", *values: Any) -> int:
        """Return the number of rows of a table."""
        return int(self.rows(f"SELECT count(*) FROM {table} WHERE {where}", *values)[0][0])

    def insert(self, records: Sequence[dict[str, Any]]) -> None:
        """Put records of Django's own fixture format in, by its own command."""
        _run([*self.command, "loaddata", "--format=json", "-"], json.dumps(list(records)))

    def reset(self) -> None:
        """Bring everything back to how it was right after the start (or ``keep``); the server runs on."""
        if self.cluster:
            self._copy(PRISTINE, DATABASE)
        else:
            self._restore()
        for name in ("media", "mails"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).mkdir()

    def _restore(self) -> None:
        with (
            closing(sqlite3.connect(self.folder / "pristine.sqlite3")) as pristine,
            closing(sqlite3.connect(self.database, timeout=30)) as live,
        ):
            pristine.backup(live)

    def _copy(self, old: str, new: str) -> None:
        assert self.cluster is not None
        leave = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{old}'"
        made = f"CREATE DATABASE {new} TEMPLATE {old} STRATEGY file_copy"
        self.cluster.sql(f"DROP DATABASE IF EXISTS {new} WITH (FORCE)", leave, made)

    def keep(self) -> None:
        """Make what the database holds now what ``reset`` goes back to."""
        if self.cluster:
            self._copy(DATABASE, PRISTINE)
            return
        with (
            closing(sqlite3.connect(self.database, timeout=30)) as live,
            closing(sqlite3.connect(self.folder / "pristine.sqlite3")) as pristine,
        ):
            live.backup(pristine)

    def stop(self) -> None:
        """Stop the server and its PostgreSQL; the folder stays."""
        self.process.stop()
        if self.cluster:
            self.cluster.stop()


def start(
    folder: Path, *, port: int | None = None, workers: int = 2, threads: int = 4, database: str = "sqlite"
) -> DjangoHelpdesk:
    """Start a new instance in ``folder``, in about 6 s: an administrator, two agents, two queues, two custom fields.

    ``database``: sqlite, or postgresql (a cluster of its own). Raises Unavailable where its packages are not installed.
    """
    missing = [package for module, package in PACKAGES.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise Unavailable(f"needs `pip install {' '.join(missing)}` (they come with migrator[dev])")
    folder.mkdir(parents=True, exist_ok=True)
    project = folder / "desk.py"
    cluster = Cluster() if database == "postgresql" else None
    try:
        if cluster:
            cluster.sql(f"CREATE DATABASE {DATABASE}")
        there = PROJECT.replace('PORT = ""', f'PORT = "{cluster.port}"') if cluster else PROJECT
        project.write_text(there, encoding="utf-8")
        _run([sys.executable, str(project), "migrate", "--verbosity=0"])
        return _served(folder, port or free_port(), workers, threads, cluster)
    except BaseException:
        if cluster:
            cluster.stop()
        raise


def _served(folder: Path, port: int, workers: int, threads: int, cluster: Cluster | None) -> DjangoHelpdesk:
    options = ["--no-control-socket", "--workers", str(workers), "--threads", str(threads), "--timeout", "120"]
    process = Process(
        [sys.executable, "-m", "gunicorn", *options, "--bind", f"127.0.0.1:{port}", "desk:application"],
        log=folder / "server.log",
        folder=folder,
        ready=lambda: _answers(f"http://127.0.0.1:{port}/api/tickets/"),
    )
    desk = DjangoHelpdesk(folder, port, process, cluster=cluster)
    desk.insert(BEGINNING)
    desk.keep()
    desk.reset()
    return desk


def _person(pk: int, name: str, **more: Any) -> dict[str, Any]:
    fields = {"username": name, "email": f"{name}@desk.test", "is_staff": True, "password": "!", **more}
    return {"model": "auth.user", "pk": pk, "fields": fields}


def _field(pk: int, name: str, label: str, data_type: str, **more: Any) -> dict[str, Any]:
    fields = {"name": name, "label": label, "data_type": data_type, "ordering": pk, **more}
    return {"model": "helpdesk.customfield", "pk": pk, "fields": fields}


BEGINNING: list[dict[str, Any]] = [
    _person(1, "admin", is_superuser=True),
    _person(2, "agent1@desk.test", email="agent1@desk.test", first_name="Agent", last_name="One"),
    _person(3, "agent2@desk.test", email="agent2@desk.test", first_name="Agent", last_name="Two"),
    {"model": "authtoken.token", "pk": TOKEN, "fields": {"user": 1, "created": "2026-01-01T00:00:00Z"}},
    {"model": "helpdesk.queue", "pk": 1, "fields": {"title": "Support", "slug": "support"}},
    {"model": "helpdesk.queue", "pk": 2, "fields": {"title": "Billing", "slug": "billing"}},
    _field(1, "severity", "Severity", "list", list_values="Low\nHigh"),
    _field(2, "order", "Order", "varchar", max_length=64),
]


def _answers(url: str) -> bool:
    """Tell whether the server turns a stranger away, which it does as soon as it can do anything."""
    try:
        with urlopen(Request(url), timeout=10):
            return True
    except HTTPError as err:
        return err.code == 401


def _run(command: Sequence[str], stdin: str = "") -> str:
    ran = subprocess.run(command, input=stdin, env=os.environ, capture_output=True, text=True, timeout=120, check=False)
    if ran.returncode:
        raise RuntimeError(
            f"{' '.join(command[1:3])} ended with {ran.returncode}:\n{(ran.stdout + ran.stderr)[-2000:]}"
        )
    return ran.stdout
