"""Counters for `/metrics`, in Prometheus's text format (version 0.0.4)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Metrics"]

_BOUNDS = (0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0)


class Metrics:
    """What the server has done since it started. `operation` is one of a fixed few, so that series stay few."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, int], int] = {}
        self._buckets: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}
        self.sent = 0
        self.received = 0
        self.in_flight = 0

    def observe(self, operation: str, status: int, seconds: float) -> None:
        """Count one answer."""
        key = (operation, status)
        self._requests[key] = self._requests.get(key, 0) + 1
        buckets = self._buckets.get(operation)
        if buckets is None:
            buckets = self._buckets[operation] = [0] * (len(_BOUNDS) + 1)
        buckets[next((index for index, bound in enumerate(_BOUNDS) if seconds <= bound), len(_BOUNDS))] += 1
        self._seconds[operation] = self._seconds.get(operation, 0.0) + seconds

    def render(self, gauges: Iterable[tuple[str, str, float]]) -> bytes:
        """Everything, with further `gauges` (name, help, value)."""
        lines = ["# HELP wherry_registry_requests_total Answers.", "# TYPE wherry_registry_requests_total counter"]
        for (operation, status), count in sorted(self._requests.items()):
            lines.append(f'wherry_registry_requests_total{{operation="{operation}",status="{status}"}} {count}')
        lines += self._histogram()
        for name, text, kind, value in (
            ("sent_bytes_total", "Bytes of bodies that were sent.", "counter", self.sent),
            ("received_bytes_total", "Bytes of bodies that were received.", "counter", self.received),
            ("requests_in_flight", "Requests that are being answered.", "gauge", self.in_flight),
        ):
            lines += [f"# HELP wherry_registry_{name} {text}", f"# TYPE wherry_registry_{name} {kind}"]
            lines.append(f"wherry_registry_{name} {value}")
        for name, text, number in gauges:
            lines += [f"# HELP wherry_registry_{name} {text}", f"# TYPE wherry_registry_{name} gauge"]
            lines.append(f"wherry_registry_{name} {number:g}")
        return ("\n".join(lines) + "\n").encode()

    def _histogram(self) -> list[str]:
        name = "wherry_registry_request_seconds"
        lines = [f"# HELP {name} Time until the answer began.", f"# TYPE {name} histogram"]
        for operation, buckets in sorted(self._buckets.items()):
            total = 0
            for bound, count in zip((*_BOUNDS, "+Inf"), buckets, strict=True):
                total += count
                lines.append(f'{name}_bucket{{operation="{operation}",le="{bound}"}} {total}')
            lines.append(f'{name}_sum{{operation="{operation}"}} {self._seconds[operation]:.6f}')
            lines.append(f'{name}_count{{operation="{operation}"}} {total}')
        return lines
