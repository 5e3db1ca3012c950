"""What somebody writes who has zenpy: tickets and comments as JSON lines. Arguments: the account, the route."""

import json
import sys

from zenpy import Zenpy

account, route = sys.argv[1:]
zenpy = Zenpy(subdomain=account, email="admin@acme.example", token="none")
for ticket in zenpy.tickets.incremental(start_time=1):
    print(json.dumps({"stream": "tickets", "record": ticket.to_dict()}))
    if route == "ticket":
        for comment in zenpy.tickets.comments(ticket.id, include_inline_images=True):
            print(json.dumps({"stream": "ticket_comments", "record": comment.to_dict()}))
if route == "events":
    for event in zenpy.tickets.events(start_time=1, include=["comment_events"]):
        for child in event.to_dict()["child_events"]:
            if child["event_type"] == "Comment":
                print(json.dumps({"stream": "ticket_comments", "record": child}))
