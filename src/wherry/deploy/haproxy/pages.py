"""What a person sees where no server answers. Pure."""

from __future__ import annotations

__all__ = ["HOST", "MAINTENANCE", "NOT_FOUND", "NO_SERVER"]

HOST = "req.hdr(host),host_only,lower,rtrim(.)"  # a request's host, as maps have it

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 15vh auto; padding: 0 1.5rem }}
h1 {{ font-size: 1.4rem }}
code {{ font-size: .95em }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""

# A log-format text of HAProxy's: the host is shown with nothing in it that HTML could take for its own.
NOT_FOUND = _PAGE.format(
    title="Nothing is deployed here",
    body=f"<p>No environment answers for <code>%[{HOST},regsub([^a-z0-9.:_-],?,g)]</code> and this path.</p>\n"
    "<p><code>wherry env list</code> shows the environments and their host names.</p>",
)
MAINTENANCE = _PAGE.format(
    title="Down for maintenance", body="<p>Work is being done on this site. It will be back shortly.</p>"
)
# With its head, as HAProxy's `errorfile` wants it.
NO_SERVER = (
    "HTTP/1.1 503 Service Unavailable\r\nCache-Control: no-store\r\nRetry-After: 5\r\n"
    "Content-Type: text/html; charset=utf-8\r\n\r\n"
) + _PAGE.format(
    title="The service is not available",
    body="<p>No instance of this service can answer at the moment. Please try again in a few seconds.</p>",
)
