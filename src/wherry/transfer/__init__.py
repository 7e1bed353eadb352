"""Floor 3: the registry client. So far it fetches; what is fetched goes where its caller says, checked on the way."""

from wherry.transfer.client import RegistryClient
from wherry.transfer.credentials import Credentials

__all__ = ["Credentials", "RegistryClient"]
