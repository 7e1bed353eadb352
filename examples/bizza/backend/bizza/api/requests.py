"""Reading requests and answering with lists."""

from __future__ import annotations

from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel
from sqlalchemy import Select, func, select

from bizza.database import session
from bizza.errors import Invalid
from bizza.schemas import Page, shown

Schema = TypeVar("Schema", bound=BaseModel)


def body(schema: type[Schema]) -> Schema:
    """The request's JSON as the schema has it; pydantic's ValidationError becomes a 422 that names the fields."""
    content = request.get_json()
    if not isinstance(content, dict):
        raise Invalid("The body must be a JSON object.")
    return schema.model_validate(content)


def page_of(query: Select[Any], schema: type[BaseModel]) -> dict[str, Any]:
    """{"items", "total"} of what the query finds, the part that `limit` and `offset` ask for."""
    page = Page.model_validate(request.args.to_dict() | {}, extra="ignore")
    total = session().scalar(select(func.count()).select_from(query.order_by(None).subquery()))
    rows = session().scalars(query.limit(page.limit).offset(page.offset)).unique()
    return {"items": [shown(schema, row) for row in rows], "total": total}


def wanted_id(name: str) -> int | None:
    """A whole number from the query string, or None where there is none."""
    text = request.args.get(name)
    if text is None:
        return None
    if not text.isdecimal() or len(text) > 9:
        raise Invalid("Some fields need another look.", {name: "This is not a number."})
    return int(text)
