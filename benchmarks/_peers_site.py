"""Copied as ``sitecustomize.py`` to where every contender finds it; no line of theirs is changed.

``*.zendesk.com`` is our server on this machine, its certificate is trusted, and ``time.sleep`` is accounted for: pauses
of a second and more are taken (``PEERS_SLEEP=keep``) or left out (``skip``); shorter ones, polls, are always taken.
"""

import atexit
import json
import os
import socket
import time

if "PEERS_PORT" in os.environ:
    _port, _asked = int(os.environ["PEERS_PORT"]), {"pauses": 0, "seconds": 0.0}
    _getaddrinfo, _sleep, _keep = socket.getaddrinfo, time.sleep, os.environ["PEERS_SLEEP"] == "keep"

    def _here(host, port, *args, **kwargs):
        name = host.decode() if isinstance(host, bytes) else host
        if name and name.endswith(".zendesk.com"):
            return _getaddrinfo("127.0.0.1", _port, *args, **kwargs)
        return _getaddrinfo(host, port, *args, **kwargs)

    def _counted(seconds):
        if seconds < 1:
            return _sleep(seconds)
        _asked["pauses"] += 1
        _asked["seconds"] += seconds
        return _sleep(seconds) if _keep else None

    def _tell():
        with open(os.environ["PEERS_SLEPT"], "w", encoding="utf-8") as file:
            json.dump(_asked, file)

    socket.getaddrinfo, time.sleep = _here, _counted
    atexit.register(_tell)
    try:
        import certifi
        import certifi.core
    except ImportError:
        pass
    else:  # airbyte's CDK does not read REQUESTS_CA_BUNDLE
        certifi.where = certifi.core.where = lambda: os.environ["SSL_CERT_FILE"]
