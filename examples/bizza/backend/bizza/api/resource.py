"""The five routes that every resource of the catalogue has: everybody may read, organisers may write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint
from pydantic import BaseModel
from sqlalchemy import Select
from sqlalchemy.orm.interfaces import ORMOption

from bizza.api.requests import body, page_of
from bizza.database import session
from bizza.errors import Unknown
from bizza.models import Identified
from bizza.schemas import shown
from bizza.security import require_organiser

Values = dict[str, Any]


@dataclass(frozen=True)
class Resource:
    """A table as a resource. `listing` is the query of its list (filters come from the query string); `options` say
    what is loaded with a row; `prepare` turns a request's fields into the row's."""

    name: str
    model: type[Identified]
    takes: type[BaseModel]
    gives: type[BaseModel]
    listing: Callable[[], Select[Any]]
    detail: type[BaseModel] | None = None
    options: tuple[ORMOption, ...] = ()
    prepare: Callable[[Values], Values] = field(default=lambda values: values)

    def blueprint(self) -> Blueprint:
        """The routes /NAME and /NAME/ID."""
        routes = Blueprint(self.name, __name__)
        one, many = f"/{self.name}/<int:identifier>", f"/{self.name}"
        routes.add_url_rule(many, "list", self.index, methods=["GET"])
        routes.add_url_rule(many, "create", self.create, methods=["POST"])
        routes.add_url_rule(one, "read", self.read, methods=["GET"])
        routes.add_url_rule(one, "update", self.update, methods=["PUT"])
        routes.add_url_rule(one, "delete", self.delete, methods=["DELETE"])
        return routes

    def index(self) -> Values:
        return page_of(self.listing().options(*self.options), self.gives)

    def read(self, identifier: int) -> Values:
        return shown(self.detail or self.gives, self.find(identifier))

    def create(self) -> tuple[Values, int]:
        require_organiser()
        row = self.model(**self.prepare(body(self.takes).model_dump()))
        session().add(row)
        session().commit()
        return self.read(row.id), 201

    def update(self, identifier: int) -> Values:
        require_organiser()
        row = self.find(identifier)
        for name, value in self.prepare(body(self.takes).model_dump()).items():
            setattr(row, name, value)
        session().commit()
        return self.read(identifier)

    def delete(self, identifier: int) -> tuple[str, int]:
        require_organiser()
        session().delete(self.find(identifier))
        session().commit()
        return "", 204

    def find(self, identifier: int) -> Identified:
        """The row, as the database has it now; raises Unknown."""
        known = identifier < 2**31
        row = session().get(self.model, identifier, options=self.options, populate_existing=True) if known else None
        if row is None:
            raise Unknown("There is no such page any more, or there never was.")
        return row
