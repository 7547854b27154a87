"""Says in plain words why a value does not fit a struct; the validator's own wording never leaves this program."""

from __future__ import annotations

import re

import msgspec

from yizhan.wire.http import MalformedRequest, WrongField

_TYPES = {
    "str": "text",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
    "object": "an object",
    "array": "a list",
    "bytes": "base64 text",
}
_AT = re.compile(r" - at `\$\.?(.*?)`$")
_MISSING = re.compile(r"missing required field `(.*?)`")
_UNKNOWN = re.compile(r"unknown field `(.*?)`")
_EXPECTED = re.compile(r"^Expected `(.*?)`, got `(.*?)`")
_BOUND = re.compile(r"^Expected `(\w+)` (of length )?(<=|>=|<|>|==) (\S+)")
_BOUNDS = {"<=": "at most", ">=": "at least", "<": "below", ">": "above", "==": "exactly"}
_INVALID = re.compile(r"^Invalid (?:enum )?value (.*?)(?: - at|$)")


def problem_of(error: msgspec.ValidationError | RecursionError) -> MalformedRequest:
    """Return the validator's finding about a request, as an error that names the field."""
    if isinstance(error, RecursionError):
        return MalformedRequest("the body is nested too deeply")
    return WrongField(explain(error), field_of(error), missing=_MISSING.search(str(error)) is not None)


def field_of(error: msgspec.ValidationError) -> str:
    """Return the dotted name of the field that the validator refused; empty for the body itself."""
    text = str(error)
    at = _AT.search(text)
    path = at[1] if at else ""
    named = _MISSING.search(text) or _UNKNOWN.search(text)
    return ".".join(part for part in (path, named[1] if named else "") if part)


def explain(error: msgspec.ValidationError) -> str:
    """Return the mistake in a value: the field, and the expected type."""
    text, field = str(error), field_of(error)
    if _MISSING.search(text):
        return f"the field '{field}' is missing"
    if _UNKNOWN.search(text):
        return f"there is no field '{field}'"
    shown = f"the field '{field}'" if field else "the body"
    if bound := _BOUND.match(text):
        unit = {"str": " characters", "array": " items"}.get(bound[1], " bytes") if bound[2] else ""
        return f"{shown} takes {_TYPES.get(bound[1], bound[1])} of {_BOUNDS[bound[3]]} {bound[4]}{unit}"
    if invalid := _INVALID.match(text):
        return f"{shown} cannot be {invalid[1]}"
    expected = _EXPECTED.match(text)
    if expected is None:
        return f"{shown} has a value that is not allowed"
    wanted = " or ".join(_TYPES.get(name.strip(), name.strip()) for name in expected[1].split("|"))
    return f"{shown} is {_TYPES.get(expected[2], expected[2])}; it takes {wanted}"
