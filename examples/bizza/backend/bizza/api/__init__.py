"""The HTTP interface under /api: a blueprint for each resource."""

from flask import Flask

from bizza.api import accounts, catalogue, contact, health, tickets


def register(app: Flask) -> None:
    """Mount every blueprint."""
    for blueprint in (
        health.blueprint,
        accounts.blueprint,
        tickets.blueprint,
        contact.blueprint,
        *catalogue.blueprints,
    ):
        app.register_blueprint(blueprint, url_prefix="/api")
