"""Metabase's SQL templates: {{name}} is a variable; [[ ... ]] is omitted if one of its variables is unset.

Provisioning needs the names. Tests and the report need SQL for PostgreSQL. Like Metabase, this does not support
nested [[ ]].
"""
import datetime
import re
from typing import Mapping, Union

Value = Union[str, datetime.date, None]

VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][\w-]*)\s*\}\}")
OPTIONAL = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)


class TemplateError(Exception):
    """The template cannot be rendered with these values."""


def variables(sql: str) -> list[str]:
    """Names of the variables, each once, in the order of their first use."""
    return list(dict.fromkeys(VARIABLE.findall(sql)))


def literal(value: Union[str, datetime.date]) -> str:
    """An SQL literal of the type that Metabase binds: a date or a text."""
    if isinstance(value, datetime.date):
        return f"date '{value.isoformat()}'"
    return "'" + value.replace("'", "''") + "'::text"  # standard_conforming_strings: a backslash is not special


def render(sql: str, values: Mapping[str, Value]) -> str:
    """The SQL with its variables replaced; a variable outside [[ ]] must have a value."""
    def is_set(name: str) -> bool:
        return values.get(name) is not None

    def optional(match: "re.Match[str]") -> str:
        return match[1] if all(map(is_set, VARIABLE.findall(match[1]))) else ""

    def variable(match: "re.Match[str]") -> str:
        value = values.get(match[1])
        if value is None:
            raise TemplateError(f"variable {match[1]} has no value and is not in [[ ]]")
        return literal(value)

    return VARIABLE.sub(variable, OPTIONAL.sub(optional, sql))
