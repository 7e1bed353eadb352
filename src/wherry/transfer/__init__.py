"""Floor 3: images between registries, layouts, archives and whoever else keeps the contract of `endpoints`.

`client` speaks to a registry, `registry`, `layout` and `dockerarchive` are sources and destinations, `copying` takes an
image from one to the other.
"""

from wherry.transfer.client import Document, RegistryClient, RegistrySettings
from wherry.transfer.copying import copy_image
from wherry.transfer.credentials import Credentials, Login
from wherry.transfer.registry import RegistryDestination, RegistrySource

__all__ = [
    "Credentials",
    "Document",
    "Login",
    "RegistryClient",
    "RegistryDestination",
    "RegistrySettings",
    "RegistrySource",
    "copy_image",
]
