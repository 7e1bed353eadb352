"""The load balancer: HAProxy in a container of its own, changed through its runtime socket and never by a reload.

HAProxy 2.6 has no way to add a backend while it runs, so a number of empty ones (slots) is in its configuration from
the beginning; maps lead requests to them, and servers are added to them. What was applied is also written as a
configuration, so that an HAProxy that was killed comes back with it.
"""

from __future__ import annotations

from wherry.deploy.haproxy.balancer import HAProxy, configured_listener

__all__ = ["HAProxy", "configured_listener"]
