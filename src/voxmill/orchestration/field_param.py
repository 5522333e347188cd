"""A field of the form whose rules are read once.

Airflow checks every field of a DAG again and again: for each task as it starts, several times for
each task as it writes the DAG down. Each check of its own `Param` also checks the schema against
the schema of schemas, which is nearly all of its time: with a recipe's 80 fields that was a third
of what Airflow takes for a run in one process.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from airflow.sdk import Param as AirflowParam
from airflow.sdk.definitions._internal.types import NOTSET, is_arg_set


class Param(AirflowParam):  # type: ignore[misc]
    """Airflow's, but a value that fits is known to fit at once."""

    __module__ = AirflowParam.__module__
    """Airflow writes a DAG's params down as they are only where class and module have its names."""

    value: Any

    def __copy__(self) -> Param:
        return Param(self.value, self.description, schema=self.schema, source=self.source)

    def resolve(self, value: Any = NOTSET, suppress_exception: bool = False) -> Any:  # noqa: FBT001, FBT002 -- Airflow's signature
        """The value, checked.

        Args:
            value: A new value; by default the one that the field has.
            suppress_exception: Give None instead of raising.

        Raises:
            ParamValidationError: The value is against the field's rules.
        """
        final = self.value if value is NOTSET else value
        if is_arg_set(final) and _fits(self.schema, final):
            self.value = final
            return final
        return super().resolve(value, suppress_exception)  # it has the words for what is wrong


def _fits(schema: dict[str, Any], value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return bool(_validator(json.dumps(schema, sort_keys=True)).is_valid(value))


@cache
def _validator(schema: str) -> Any:
    from jsonschema import FormatChecker  # type: ignore[import-untyped]
    from jsonschema.validators import validator_for  # type: ignore[import-untyped]

    rules = json.loads(schema)
    kind = validator_for(rules)
    kind.check_schema(rules)
    return kind(rules, format_checker=FormatChecker())
