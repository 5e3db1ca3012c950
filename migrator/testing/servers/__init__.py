"""The kit for tests against real servers: packages asked for, ports, processes, and a proxy that does harm to order.

One module a server (``request_tracker``, ...) has ``start(folder, ...)``. Everything listens on 127.0.0.1 only.
"""

from migrator.testing.servers.harm import Order, Seen
from migrator.testing.servers.packages import Unavailable, need
from migrator.testing.servers.process import Process, free_port, until
from migrator.testing.servers.proxy import Proxy
from migrator.testing.servers.tunnel import Tunnel

__all__ = ["Order", "Process", "Proxy", "Seen", "Tunnel", "Unavailable", "free_port", "need", "until"]
