"""Znuny's words for jobs of the GenericAgent, each with ours.

Source: Kernel/System/GenericAgent.pm of Znuny 6.5 as Debian has it (JobGet, JobRun, _JobRunTicket), read 2026-11-26.
An id of the desk is written as ``<state:open>``, ``<priority:3 normal>``, ``<queue:…>``, ``<user:…>`` (decision 0024).
"""

from __future__ import annotations

from collections.abc import Collection

from migrator.rules.rule import ClockPolicy, PassPolicy

TITLE = "Znuny"
NAMES_ORDER = "Name"  # jobs run in the order of their names: the place stands in the name
LOOKED_UP = ("state", "priority")  # the connection puts the desk's numbers for these
# Jobs run by name, each over the tickets as they are by then; what they change sets off jobs that wait for events.
POLICY = PassPolicy(order="name", visibility="current", changes="original", cascade="none")
# Jobs are written to run hourly; one takes at most 4,000 tickets in a run (Ticket::GenericAgentRunLimit).
CLOCK = ClockPolicy(order="name", most=4000)

STATES = {"new": "new", "open": "open", "pending reminder": "pending", "closed successful": "solved"}
STATE_NAMES = {ours: theirs for theirs, ours in STATES.items()}
# States that an account of its own adds, so that no two of ours become one (decision 0032).
ADDED_STATUSES = {"hold": ("hold", "pending"), "closed": ("closed", "solved")}  # ours to (name, what it is without)
STATES |= {name: ours for ours, (name, _) in ADDED_STATUSES.items()}
STATE_NAMES |= {ours: name for ours, (name, _) in ADDED_STATUSES.items()}
PRIORITIES = {"2 low": "low", "3 normal": "normal", "4 high": "high", "5 very high": "urgent"}
PRIORITY_NAMES = {ours: theirs for theirs, ours in PRIORITIES.items()}
STATUS_TABLE: dict[str | None, str | None] = {
    word: word for word in ("new", "open", "pending", "hold", "solved", "closed")
}


def statuses(apart: Collection[str]) -> dict[str | None, str | None]:
    """Return what our statuses become where only these of the added states are there."""
    without = {ours: other for ours, (_, other) in ADDED_STATUSES.items() if ours not in apart}
    return {ours: without.get(str(ours), ours) for ours in STATUS_TABLE}


PRIORITY_TABLE: dict[str | None, str | None] = {
    None: "normal",
    "low": "low",
    "normal": "normal",
    "high": "high",
    "urgent": "urgent",
}

# What a job asks by lists: our path to its key, the word in a placeholder, the kind we name.
LISTS = {
    "ticket.status": ("StateIDs", "state", "status"),
    "ticket.priority": ("PriorityIDs", "priority", "priority"),
    "ticket.group": ("QueueIDs", "queue", "group"),
    "ticket.assignee": ("OwnerIDs", "user", "user"),
}
SETS = {path: f"New{key.removesuffix('s')}" for path, (key, _, _) in LISTS.items()}
WORDS = {"state": STATES, "priority": PRIORITIES}
WORD_NAMES = {"state": STATE_NAMES, "priority": PRIORITY_NAMES}

# Times: our anchor to (what the keys begin with, the key that says that it is asked for).
ANCHORS = {
    "created": ("TicketCreate", "TimeSearchType"),
    "updated": ("TicketLastChange", "LastChangeTimeSearchType"),
    "status:solved": ("TicketLastClose", "LastCloseTimeSearchType"),
}
# Every time a job may search by: what its keys begin with, to the key that says how.
SEARCH_TYPES = {
    "TicketCreate": "TimeSearchType",
    "TicketChange": "ChangeTimeSearchType",
    "TicketClose": "CloseTimeSearchType",
    "TicketLastChange": "LastChangeTimeSearchType",
    "TicketLastClose": "LastCloseTimeSearchType",
    "TicketPending": "TimePendingSearchType",
    "TicketEscalation": "EscalationTimeSearchType",
    "TicketEscalationResponse": "EscalationResponseTimeSearchType",
    "TicketEscalationUpdate": "EscalationUpdateTimeSearchType",
    "TicketEscalationSolution": "EscalationSolutionTimeSearchType",
}
OF_TIMES = ("TimePoint", "TimePointFormat", "TimePointStart", "TimeOlderMinutes", "TimeNewerMinutes")
NO_CONDITION = ("New", "Name", "Valid", "Schedule", "Event", "DynamicField_")  # all else is asked (JobRun)
ACTIONS = ("New", "DynamicField_")
MOST_LETTERS = 200  # of a name and of a value: the column has no more, and JobAdd does not say when it is refused
HOURS = {"minute": 1 / 60, "hour": 1, "day": 24, "week": 168, "month": 720, "year": 8760}
SEARCHES = {"Before": "gt", "Last": "lt"}

EVERY_HOUR = {
    "ScheduleDays": [str(day) for day in range(7)],
    "ScheduleHours": [str(hour) for hour in range(24)],
    "ScheduleMinutes": ["0"],
}
OPTIONS = (*EVERY_HOUR, "EventValues", "NewSendNoNotification")
BOOKKEEPING = ("_source", "id", "ScheduleLastRun", "ScheduleLastRunUnixTime")
