"""Environment variables, read once, typed, refused with a sentence when they make no sense.

A settings class is a msgspec Struct; the variable's name is the field's in capitals, its meaning the field's
`Meta(description=…)`.
"""

import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

Settings = TypeVar("Settings", bound=msgspec.Struct)


class EnvironmentInvalid(SystemExit):
    """Stops the process with one sentence on standard error."""


def environ_read(shape: type[Settings], environ: Mapping[str, str]) -> Settings:
    """Raises EnvironmentInvalid naming the variable."""
    values = {}
    for field in msgspec.structs.fields(shape):
        text = environ.get(field.name.upper(), "")
        if text != "":
            values[field.name] = text
    try:
        return msgspec.convert(values, shape, strict=False)
    except msgspec.ValidationError as error:
        raise EnvironmentInvalid(_sentence(str(error))) from None


def _sentence(problem: str) -> str:
    missing = re.fullmatch(r"Object missing required field `(\w+)`", problem)
    if missing:
        return f"The environment variable {missing[1].upper()} is not set, and there is no default for it."
    message, _, place = problem.partition(" - at `$.")
    return f"The environment variable {place.removesuffix('`').upper()} makes no sense: {message}."
