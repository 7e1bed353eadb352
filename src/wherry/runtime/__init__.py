"""Floor 3: an OCI runtime (runc, crun) and its monitor (conmon): create, start, exec, signal, delete, logs, exit codes.

A container here is an identifier, a bundle directory and a process; images and networks are not known.
"""

from wherry.runtime.oci_runtime import ExitRecord, Launch, OciRuntime, State

__all__ = ["ExitRecord", "Launch", "OciRuntime", "State"]
