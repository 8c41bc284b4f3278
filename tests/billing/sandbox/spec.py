"""Stripe's own OpenAPI description, which the Go module of stripe-mock carries, and what does not conform to it."""

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path

MODULE = "github.com/stripe/stripe-mock@v0.203.0"
TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict}


class SpecMissing(Exception):
    """With the reason, for the report of skipped tests."""


@cache
def spec():
    if not shutil.which("go"):
        raise SpecMissing("Stripe's OpenAPI description comes as a Go module, and there is no Go here")
    done = subprocess.run(["go", "mod", "download", "-json", MODULE], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SpecMissing(f"{MODULE} cannot be fetched")
    return json.loads((Path(json.loads(done.stdout)["Dir"]) / "embedded/openapi/spec3.json").read_text())


def resolved(schema):
    while "$ref" in schema:
        schema = spec()["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def faults(value, schema, place):
    """One line for each thing about the value that its description does not allow."""
    schema = resolved(schema)
    if value is None:
        return [] if schema.get("nullable") else [f"{place} is null"]
    if "anyOf" in schema:
        tried = [faults(value, one, place) for one in schema["anyOf"] if _may_be(value, resolved(one))]
        return min(tried, key=len) if tried else [f"{place} is none of what it may be: {str(value)[:60]}"]
    wanted = schema.get("type")
    if wanted and (not isinstance(value, TYPES[wanted]) or (isinstance(value, bool) and wanted != "boolean")):
        return [f"{place} is no {wanted}: {str(value)[:60]}"]
    found = [f"{place} may not be {value!r}"] if value not in schema.get("enum", [value]) else []
    if isinstance(value, list):
        found += [fault for n, item in enumerate(value) for fault in faults(item, schema["items"], f"{place}[{n}]")]
    if isinstance(value, dict) and "properties" in schema:
        found += _fields(value, schema, place)
    return found


def _fields(value, schema, place):
    known = schema["properties"]
    found = [f"{place}.{name} is missing" for name in schema.get("required", []) if name not in value]
    found += [f"{place}.{name} is unknown" for name in value if name not in known]
    for name in value.keys() & known.keys():
        found += faults(value[name], known[name], f"{place}.{name}")
    return found


def _may_be(value, schema):
    """Which of several descriptions to compare with: an object's kind says so."""
    if isinstance(value, dict) and "object" in value:
        kinds = resolved(schema.get("properties", {}).get("object", {})).get("enum")
        deleted = resolved(schema.get("properties", {}).get("deleted", {})).get("enum")
        return (kinds is None or value["object"] in kinds) and (deleted is None or bool(value.get("deleted")))
    return True


def faults_of(item):
    """Of an object, by its kind."""
    name = item["object"] if not item.get("deleted") else f"deleted_{item['object']}"
    return faults(item, {"$ref": f"#/components/schemas/{name}"}, name)
