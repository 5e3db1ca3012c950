"""The private instance: it answers, and goes back to its beginning while it runs."""

from __future__ import annotations

import requests

from migrator.testing.servers.request_tracker import RequestTracker


def test_it_forgets_everything_when_told_to_while_it_runs(tracker: RequestTracker) -> None:
    signed = {"Authorization": f"token {tracker.token}"}
    for _ in range(2):
        tracker.reset()
        tracker.initialdata({"Queues": [{"Name": "Billing"}]})
        made = requests.post(
            f"{tracker.url}/REST/2.0/ticket",
            json={"Queue": "Billing", "Subject": "x", "Requestor": "a@b.example"},
            headers=signed,
            timeout=30,
        )
        assert made.status_code == 201, made.text
        assert made.json()["id"] == "1"
        assert tracker.count("Tickets") == 1
