"""Pebble, the authority that Let's Encrypt tests clients with, and a name server that says 127.0.0.1 to every name."""

import json
import os
import shutil
import ssl
import subprocess
import urllib.request

from backends import free_port
from wherry.deploy.certificates import LocalAuthority

PROGRAMS = ("pebble", "pebble-challtestsrv")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]


class Pebble:
    """An authority that looks at hosts through `port`, below the directory `path`; `trust` is a file to trust it by.

    `lifetime` of certificates is in seconds. Names in `elsewhere` lead to an address where nobody listens.
    """

    def __init__(self, path, port, *, binding=None, lifetime=0):
        self.port, self._dns, self._manage = free_port(), free_port(), free_port()
        self.directory = f"https://localhost:{self.port}/dir"
        authority = LocalAuthority(str(path / "authority"))
        self.trust = str(path / "trust.pem")
        (path / "trust.pem").write_text(authority.certificate())
        key, mark, rest = authority.issue("pebble", ("localhost",)).pem.partition("-----BEGIN CERTIFICATE-----")
        (path / "key.pem").write_text(key)
        (path / "certificate.pem").write_text(mark + rest)
        settings = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self._manage}",
            "certificate": f"{path}/certificate.pem",
            "privateKey": f"{path}/key.pem",
            "httpPort": port,
            "tlsPort": free_port(),
            "ocspResponderURL": "",
            "externalAccountBindingRequired": bool(binding),
        }
        if binding:
            settings["externalAccountMACKeys"] = binding
        if lifetime:
            settings["certificateValidityPeriod"] = lifetime
        (path / "pebble.json").write_text(json.dumps({"pebble": settings}))
        self._log = open(path / "log", "wb")
        self._names = self._run(
            "pebble-challtestsrv",
            *("-dns01", f"127.0.0.1:{self._dns}", "-management", f"127.0.0.1:{free_port()}"),
            *("-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""),
        )
        self._server = None
        self._arguments = ("-config", f"{path}/pebble.json", "-dnsserver", f"127.0.0.1:{self._dns}", "-strict")
        self.start()

    def start(self):
        """Begin with nothing: accounts and orders of before are not known."""
        self._server = self._run("pebble", *self._arguments)
        context = ssl.create_default_context(cafile=self.trust)
        while True:
            assert self._server.poll() is None, "pebble has ended"
            try:
                urllib.request.urlopen(self.directory, timeout=10, context=context).close()
                return
            except OSError:
                continue

    def root(self):
        """The certificate that vouches for all that is issued, in PEM."""
        context = ssl.create_default_context(cafile=self.trust)
        with urllib.request.urlopen(f"https://localhost:{self._manage}/roots/0", timeout=10, context=context) as answer:
            return answer.read().decode()

    def _run(self, name, *arguments):
        environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1"}
        return subprocess.Popen([name, *arguments], env=environment, stdout=self._log, stderr=self._log)

    def end(self):
        """Kill the authority alone."""
        self._server.kill()
        self._server.wait()

    def stop(self):
        self.end()
        self._names.kill()
        self._names.wait()
        self._log.close()
