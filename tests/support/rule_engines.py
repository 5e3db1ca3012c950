"""Small models of the vendors' rule engines: does a condition in a vendor's own JSON match an update of a ticket?

Written from the vendors' documents and code as gathered in the vendor facts, never from our dialects: what these say is
what the dialects must make come true. An update is a plain dictionary in canonical words (``updates``).
"""

from __future__ import annotations

import re
from typing import Any

Update = dict[str, Any]
Native = dict[str, Any]

STATUSES = ("new", "open", "pending", "hold", "solved", "closed")
PRIORITIES = ("low", "normal", "high", "urgent")
ANCHORS = ("created", "updated", "status:pending", "status:solved")


# Zendesk: conditions-reference; ALL and (no ANY or one of ANY).


def zendesk(asked: Native, update: Update) -> bool:
    every, some = asked["all"], asked["any"]
    return all(_zendesk(one, update) for one in every) and (not some or any(_zendesk(one, update) for one in some))


def _zendesk(one: Native, update: Update) -> bool:
    field, operator, value = one["field"], one["operator"], one["value"]
    if field == "update_type":
        return (update["event"] == {"Create": "created", "Change": "updated"}[value]) is (operator == "is")
    if field == "current_tags":
        return bool(set(value.split()) & set(update["tags"])) is (operator == "includes")
    if field == "subject_includes_word":
        words = re.findall(r"\w+", (update["subject"] or "").lower())
        found = any(word.lower() in words for word in value.split())
        return found is (operator == "includes")
    if field == "comment_is_public":
        comment = update["comment"]
        return comment is not None and (value == "not_relevant" or comment["public"] is (value == "true"))
    if field in ("NEW", "PENDING", "SOLVED", "updated_at"):
        hours = update["hours"][{"NEW": "created", "updated_at": "updated"}.get(field, f"status:{field.lower()}")]
        if hours is None:
            return False
        tests = {"is": int(hours) == int(value), "less_than": hours < int(value), "greater_than": hours > int(value)}
        return tests[operator]
    if field == "role":  # whoever is no requester is an agent here
        return ((update["actor"] == update["requester"]) is (value == "end_user")) is (operator == "is")
    return _zendesk_field(field, operator, value, update)


def _zendesk_field(field: str, operator: str, value: Any, update: Update) -> bool:
    names = {"group_id": "group", "assignee_id": "assignee", "requester_id": "requester", "custom_fields_5": "type"}
    name = names.get(field, field)
    held, before = update[name], update["before"].get(name, update[name])
    changed = name in update["before"]
    value = {"current_user": update["actor"], "requester_id": update["requester"]}.get(value, value or None)
    if operator in ("less_than", "greater_than"):
        # No priority counts as the lowest: assumed, as types are counted with none as 0.
        scale = (None, *PRIORITIES) if name == "priority" else STATUSES
        at, other = scale.index(held), scale.index(value)
        return at < other if operator == "less_than" else at > other
    return {
        "is": held == value,
        "is_not": held != value,
        "changed": changed,
        "not_changed": not changed,
        "value": changed and held == value,
        "not_value": not (changed and held == value),
        "value_previous": changed and before == value,
        "not_value_previous": not (changed and before == value),
    }[operator]


# Zammad: lib/selector/sql.rb. Three-valued; a join of tags is a row a tag; NOT is NOT(a AND b).

Truth = bool | None
ZAMMAD_STATES = {"hold": "on hold", "pending": "pending reminder"}
ZAMMAD_PRIORITIES = {None: "0 none", "low": "1 low", "normal": "2 normal", "high": "3 high", "urgent": "4 urgent"}


def zammad(asked: Native, update: Update) -> bool:
    if "conditions" not in asked:
        asked = {"operator": "AND", "conditions": [{"name": name, **one} for name, one in asked.items()]}
    # WHERE keeps a ticket where one of its joined rows is true.
    return any(_zammad(asked, update, row) is True for row in (update["tags"] or [None]))


def _zammad(one: Native, update: Update, row: str | None) -> Truth:
    if "conditions" not in one:
        return _zammad_leaf(one, update, row)
    parts = [_zammad(each, update, row) for each in one["conditions"]]
    if one["operator"] == "OR":
        return True if True in parts else None if None in parts else False
    both = False if False in parts else None if None in parts else True
    return _not(both) if one["operator"] == "NOT" else both


def _not(truth: Truth) -> Truth:
    return None if truth is None else not truth


def _zammad_leaf(one: Native, update: Update, row: str | None) -> Truth:
    name, operator, value = one["name"], one["operator"], one.get("value")
    if name == "ticket.action":
        return ({"create": "created", "update": "updated"}.get(value) == update["event"]) is (operator == "is")
    if name == "article.action":
        return (update["comment"] is not None) is (operator == "is")
    if operator == "has changed":
        names = {"ticket.state_id": "status", "ticket.owner_id": "assignee"}
        names |= {"ticket.priority_id": "priority", "ticket.group_id": "group"}
        return names[name] in update["before"]
    if name == "ticket.tags":
        wanted = {tag.strip() for tag in value.split(",")}
        if operator == "contains all" and len(wanted) == 1:
            operator = "contains one"  # as the engine does, for speed
        held = set(update["tags"])
        return {
            "contains one": None if row is None else row in wanted,
            "contains all": wanted <= held,
            "contains one not": not (wanted & held),
            "contains all not": not wanted <= held,
        }[operator]
    if operator.endswith("(relative)"):
        return _zammad_time(one, update)
    return _zammad_value(one, _zammad_attribute(name, update), update)


def _zammad_time(one: Native, update: Update) -> Truth:
    anchors = {"ticket.created_at": "created", "ticket.updated_at": "updated"}
    anchor = anchors.get(one["name"]) or one["name"].replace("ticket.since_", "status:")
    hours = update["hours"][anchor]
    if hours is None:
        return None
    amount = int(one["value"]) * {"minute": 1 / 60, "hour": 1, "day": 24}[one["range"]]
    return {
        "before (relative)": hours >= amount,
        "from (relative)": hours <= amount,
        "till (relative)": hours >= -amount,
        "after (relative)": hours <= -amount,
    }[one["operator"]]


def _zammad_attribute(name: str, update: Update) -> Any:
    """Return a column of the moved ticket; the helper remembers what the state was before this update."""
    if name == "article.internal":
        return update["comment"] and ("false" if update["comment"]["public"] else "true")
    if name == "article.sender_id":
        return update["comment"] and ("Customer" if update["actor"] == update["requester"] else "Agent")
    before = {**{key: update[key] for key in ("status", "priority")}, **update["before"]}
    state = ZAMMAD_STATES.get
    return {
        "ticket.state_id": state(update["status"], update["status"]),
        "ticket.status_before": state(before["status"], before["status"]),
        "ticket.priority_id": ZAMMAD_PRIORITIES[update["priority"]],
        "ticket.priority_before": ZAMMAD_PRIORITIES[before["priority"]],
        "ticket.type": update["type"],
        "ticket.group_id": update["group"],
        "ticket.owner_id": update["assignee"] or "1",  # nobody is the user 1
        "ticket.customer_id": update["requester"],
        "ticket.title": update["subject"],
        "ticket.people": f"{update['assignee'] or '1'}={update['requester']}",  # as the trigger 000 people leaves it
    }[name]


def _zammad_value(one: Native, held: Any, update: Update) -> Truth:
    name, operator, before = one["name"], one["operator"], one.get("pre_condition")
    if name.startswith("article.") and update["comment"] is None:
        return False  # 1 = 0
    null = held is None
    if operator in ("matches regex", "does not match regex"):
        found = None if null else bool(re.search(one["value"], held, re.IGNORECASE))
        return _not(found) if operator.startswith("does") else found
    if operator == "contains not":
        return null or one["value"].lower() not in held.lower()
    if operator == "contains":
        return None if null else one["value"].lower() in held.lower()
    listed = one.get("value")
    values = [re.sub(r"^<\w+:(.*)>$", r"\1", str(each)) for each in (listed if isinstance(listed, list) else [listed])]
    if before == "not_set":
        missing = null or (name == "ticket.owner_id" and held == "1")
        return missing if operator == "is" else not missing
    if before == "current_user.id":
        values = [str(update["actor"])]
    if operator == "is":
        among: Truth = None if null else held in values
        return (among or null) if "" in values else among
    outside: Truth = None if null else held not in values
    if "" in values:
        return False if null else outside
    return null or outside


# Freshdesk: (set AND set), lists; only the rule kind's own moment; an update rule wants one of its events.

# With the two statuses that were added, and the tickets moved into them.
FRESHDESK_STATUSES = {"new": "New", "open": 2, "pending": 3, "hold": "On hold", "solved": 4, "closed": 5}
FRESHDESK_PRIORITIES = {None: 1, "low": 1, "normal": 2, "high": 3, "urgent": 4}


def freshdesk(rule: Native, update: Update) -> bool:
    kind = rule["rule_type"]
    if kind != 3 and (kind == 1) is not (update["event"] == "created"):
        return False
    if kind == 4 and not any(_freshdesk_event(one, update) for one in rule["events"]):
        return False
    performer = rule.get("performer", {})
    who = performer.get("type")
    if "members" in performer:  # Va::Performer#check_members: -1 is the agent of the ticket
        if update["actor"] != update["assignee"] or performer["members"] != [-1]:
            return False
    elif who in (1, 2) and (who == 2) is not (update["actor"] == update["requester"]):
        return False
    sets = [
        (all if one["match_type"] == "all" else any)(_freshdesk(each, update) for each in one["properties"])
        for one in rule["conditions"]
    ]
    return (any if rule.get("operator") == "OR" else all)(sets)


def freshdesk_filled(automations: list[Native], update: Update) -> Update:
    """Return the update as rules find it after these automations, which only fill custom fields, ran in their order."""
    for rule in automations:
        (does,) = rule["actions"]
        if does["field_name"].startswith("cf_") and freshdesk(rule, update):
            update = {**update, "fields": {**update.get("fields", {}), does["field_name"]: does["value"]}}
    return update


def _freshdesk_held(name: str, update: Update, values: dict[str, Any]) -> Any:
    words = {"responder_id": "assignee", "group_id": "group", "ticket_type": "type", "id": "requester", "cf_5": "type"}
    if name in update.get("fields", {}):
        return update["fields"][name]
    if name == "source":
        codes = {"email": 1, "web": 2, "phone_inbound": 3, "chat": 7, "feedback": 9, "outbound_email": 10}
        return codes[update["channel"]]
    held = values[words.get(name, name)]
    if name == "status":
        return FRESHDESK_STATUSES[held]
    if name == "priority":
        return FRESHDESK_PRIORITIES[held]
    return held.capitalize() if name == "ticket_type" and held else held


def _freshdesk_event(one: Native, update: Update) -> bool:
    name = one["field_name"]
    if (
        name == "ticket_action"
    ):  # Va::Observer: whatever else it notices; here nothing is noticed of tags and the subject
        return one["value"] == "update" and (update["comment"] is not None or bool(update["before"]))
    if name in ("reply_sent", "note_type"):
        comment = update["comment"]
        if comment is None:
            return False
        reply = comment["public"]
        return bool(reply) if name == "reply_sent" else not reply and one.get("value") in ("--", "private")
    words = {"responder_id": "assignee", "group_id": "group", "ticket_type": "type"}
    if words.get(name, name) not in update["before"]:
        return False
    sides = (("from", {**update, **update["before"]}), ("to", update))
    return all(_named(one[side]) in ("--", _freshdesk_held(name, update, values)) for side, values in sides)


def _freshdesk(one: Native, update: Update) -> bool:
    name, operator, value = one["field_name"], one["operator"], one["value"]
    values = [_named(each) for each in _listed(value)]
    if name == "tag_names":
        if operator == "and":
            return set(values) <= set(update["tags"])
        return bool(set(values) & set(update["tags"])) is (operator == "in")
    if name == "subject":  # Va::Handlers::Text: of nothing, neither is true; but every ticket has a subject there
        found = any(each.lower() in (update["subject"] or "(no subject)").lower() for each in values)
        return found is (operator == "contains")
    anchors = {"created_at": "created", "updated_at": "updated"}
    anchors |= {"pending_since": "status:pending", "resolved_at": "status:solved"}
    if name in anchors:
        hours = update["hours"][anchors[name]]
        tests = {"is": lambda: int(hours) == value, "less_than": lambda: hours < value}
        return hours is not None and tests.get(operator, lambda: hours > value)()
    held = _freshdesk_held(name, update, update)
    return (("" if held is None else held) in values) is (operator == "in")


def _named(value: Any) -> Any:
    """Return what ``<kind:name>`` stands for."""
    return re.sub(r"^<\w+:(.*)>$", r"\1", value) if isinstance(value, str) else value


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# Chatwoot: conditions_filter_service.rb. A flat list pasted into SQL: AND before OR, no parentheses; a custom
# attribute's not_equal_to brings "OR … IS NULL" with it.

CHATWOOT_STATUSES = {"new": "open", "hold": "snoozed", "solved": "resolved", "closed": "resolved"}
CHATWOOT_PRIORITIES = {"normal": "medium"}


def chatwoot(rule: Native, update: Update) -> bool:
    events = {
        "conversation_created": update["event"] == "created",
        "conversation_updated": update["event"] == "updated",
    }
    events["message_created"] = update["event"] == "updated" and update["comment"] is not None
    if not events[rule["event_name"]]:
        return False
    groups: list[list[Truth]] = [[]]
    for one in rule["conditions"]:
        for truth, joined in _chatwoot(one, update):
            groups[-1].append(truth)
            if joined == "OR":
                groups.append([])
    return any(all(truth is True for truth in group) for group in groups)


def _chatwoot(one: Native, update: Update) -> list[tuple[Truth, str | None]]:
    key, operator, values, joined = (
        one[name] for name in ("attribute_key", "filter_operator", "values", "query_operator")
    )
    values = [re.sub(r"^<\w+:(.*)>$", r"\1", each) if isinstance(each, str) else each for each in values]
    if key == "labels":
        found = bool(set(values) & set(update["tags"])) if values else bool(update["tags"])
        return [(found if operator in ("equal_to", "is_present") else not found, joined)]
    comment = update["comment"]
    held = {
        "status": CHATWOOT_STATUSES.get(update["status"], update["status"]),
        "priority": CHATWOOT_PRIORITIES.get(update["priority"], update["priority"]),
        "team_id": update["group"],
        "assignee_id": update["assignee"],
        "mail_subject": update["subject"],
        "private_note": None if comment is None else not comment["public"],
        "cf_5": update["type"],  # a custom attribute
    }[key]
    null = held is None
    if operator in ("is_present", "is_not_present"):
        return [(null is (operator == "is_not_present"), joined)]
    if operator == "contains":
        return [(None if null else values[0].lower() in held.lower(), joined)]
    if operator == "does_not_contain":
        return [(None if null else values[0].lower() not in held.lower(), joined)]
    among: Truth = None if null else held in values
    if operator == "equal_to":
        return [(among, joined)]
    if key.startswith("cf_"):
        return [(_not(among), "OR"), (null, joined)]
    return [(_not(among), joined)]
