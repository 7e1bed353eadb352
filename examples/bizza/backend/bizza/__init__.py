"""The back end of Bizza. `create_app` makes an application; nothing is connected to before the first request."""

from __future__ import annotations

import logging.config

from flask import Flask

from bizza import api, commands, database, errors, logs, security
from bizza.config import Settings, settings_from

__all__ = ["create_app"]

LARGEST_REQUEST_BYTES = 256 * 1024


def create_app(settings: Settings | None = None) -> Flask:
    """An application for these settings, or for those of the environment."""
    chosen = settings or settings_from()
    logging.config.dictConfig(logs.configuration(chosen.log_level))
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_REQUEST_BYTES
    app.extensions["settings"] = chosen
    database.attach(app, database.engine_for(chosen))
    logs.register(app)
    security.register(app)
    errors.register(app)
    api.register(app)
    commands.register(app)
    return app
