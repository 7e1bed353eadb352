"""The console's templates, and what every page of it is sent with."""

from __future__ import annotations

import time

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from wherry.serve.drawing import amount, chart_svg, last_value
from wherry.serve.people import may

__all__ = ["HEADERS", "open_templates"]

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def open_templates() -> Environment:
    """Those of this package; whatever is put into them is escaped."""
    pages = Environment(
        loader=PackageLoader("wherry.serve"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["moment"] = _moment
    pages.filters["amount"] = amount
    pages.filters["last_value"] = last_value
    pages.filters["chart"] = lambda chart: Markup(chart_svg(chart))  # noqa: S704 (it escapes what it is given)
    pages.globals["may"] = may
    return pages


def _moment(seconds: float) -> str:
    """A time as people read it, UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds)) if seconds else ""
