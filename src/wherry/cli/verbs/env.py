"""`env`: environments; the words are in modules of their own, loaded when they are called."""

from __future__ import annotations

from wherry.cli.flags import Help, Misuse

__all__ = ["run"]

# word: (module, summary)
_WORDS = {
    "abort": ("env_change", "End what is under way, and take it back"),
    "backup": ("env_backup", "Backups of an environment's accessories"),
    "certificate": ("env_certificate", "Certificates of an environment"),
    "clone": ("env_change", "Make an environment like another one"),
    "config": ("env_config", "Settings and variables as a file, and saved configurations"),
    "create": ("env_create", "Make an environment that runs the project here"),
    "events": ("env_show", "Show what happened"),
    "health": ("env_health", "Show how well an environment and its instances are"),
    "history": ("env_show", "List an environment's deployments"),
    "jobs": ("env_jobs", "List what an environment does by the clock"),
    "list": ("env_show", "List environments"),
    "logs": ("env_logs", "Show what instances and accessories wrote"),
    "open": ("env_logs", "Show an environment in the browser, or print its address"),
    "rebuild": ("env_change", "Make everything anew, accessories included"),
    "recover": ("env_change", "Start what stands still, and end or take back what was cut off"),
    "restart": ("env_change", "Restart all instances, a batch after the other"),
    "restore": ("env_change", "Bring a terminated environment back"),
    "rollback": ("env_change", "Go back to what ran before"),
    "scale": ("env_change", "Have so many instances"),
    "set": ("env_change", "Change settings, variables and secrets"),
    "status": ("env_show", "Show an environment and its instances"),
    "swap": ("env_change", "Let two environments exchange their hosts"),
    "terminate": ("env_change", "Take an environment away, but its history"),
    "unset": ("env_change", "Take settings back, remove variables and secrets"),
}
_ALIASES = {"ls": "list"}


def run(argv: list[str]) -> int:
    """One of the words."""
    word = argv[1] if argv[1:] else "--help"
    word = _ALIASES.get(word, word)
    if word in ("--help", "-h", "help"):
        raise Help(_overview())
    if word not in _WORDS:
        raise Misuse(f"unknown command: wherry env {word}", hint="See 'wherry env --help'.")
    from importlib import import_module

    code: int = import_module(f"wherry.cli.verbs.{_WORDS[word][0]}").run([word, *argv[2:]])
    return code


def _overview() -> str:
    width = max(map(len, _WORDS)) + 2
    lines = [f"  {word:<{width}}{summary}" for word, (_, summary) in _WORDS.items()]
    return "\n".join(["Usage:  wherry env COMMAND", "", "Commands:", *lines])
