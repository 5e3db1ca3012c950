"""Request Tracker as the ground of the conformance suite, and an account at it."""

from __future__ import annotations

from migrator.migration import Account
from migrator.testing.conformance import ServerGround
from migrator.testing.servers import Proxy
from migrator.testing.servers.request_tracker import RequestTracker

PEOPLE = "Domain = 'UserDefined'"
SAID = "Type IN ('Create', 'Correspond', 'Comment') AND ObjectType = 'RT::Ticket'"


def account(server: RequestTracker, channels: tuple[str, ...] = ()) -> Account:
    """Return the account with what the channels need."""
    settings = {}
    if "sql" in channels:
        settings["database"] = server.address
    if "initialdata" in channels:
        settings["setup_command"] = server.setup_command
    return Account(vendor="request_tracker", settings=settings, channels=channels, workers=1)


def counted(server: RequestTracker) -> dict[str, int]:
    """Return the rows of the tables a load fills, from the server's own database."""
    return {
        "tickets": server.count("Tickets"),
        "said": server.count("Transactions", SAID),
        "files": server.count("Attachments", "Filename <> ''"),
        "users": server.count("Users"),
        "queues": server.count("Queues"),
        "groups": server.count("Groups", PEOPLE),
        "members": server.count("GroupMembers", f"GroupId IN (SELECT id FROM Groups WHERE {PEOPLE})"),
        "articles": server.count("Articles"),
        "classes": server.count("Classes"),
        "merged": server.count("Tickets", "IsMerged = 1"),
        "links": server.count("Links"),
        "fields": server.count("CustomFields"),
        "values": server.count("ObjectCustomFieldValues"),
    }


def ground(server: RequestTracker, proxy: Proxy, channels: tuple[str, ...] = ()) -> ServerGround:
    """Return an empty account at the server."""
    server.reset()
    proxy.calm()
    ids = {
        "tickets": "Tickets",
        "groups": f"Groups WHERE {PEOPLE}",
        "articles": "Articles",
        "queues": "Queues",
        "users": "Users",
        "customfields": "CustomFields",
    }

    def listed(stream: str) -> set[str]:
        return {str(id) for (id,) in server.rows(f"SELECT id FROM {ids[stream]}")} if stream in ids else set()

    return ServerGround(
        proxy, account(server, channels), {"token": server.token}, lambda: counted(server), server, listed
    )
