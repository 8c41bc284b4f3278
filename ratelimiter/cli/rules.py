"""rules export, diff and apply: the file is what rules there shall be."""

import difflib
from pathlib import Path
from typing import Annotated, Any

import typer

from ratelimiter.cli.access import api
from ratelimiter.cli.client import Api, Problem
from ratelimiter.cli.printing import AsJson, Exit, ending, told
from ratelimiter.cli.rules_file import FileInvalid, RulesFile, rules_file_read, rules_file_write

BULK = "/api/v1/rate-limits/bulk"
FileName = Annotated[str, typer.Argument(help="A rules file in YAML.")]
Prune = Annotated[bool, typer.Option("--prune/--no-prune", help="Delete the rules that the file does not name.")]

app = typer.Typer(no_args_is_help=True, help="Rules as a file.")


@app.command()
def export(
    file: Annotated[Path | None, typer.Argument(help="Where to write it; otherwise it is printed.")] = None,
    as_json: AsJson = False,
) -> None:
    """The rules and overrides that there are, as a file. Applied again, it changes nothing.

    Example: ratelimiter rules export rules.yaml
    """
    with ending(as_json=as_json):
        rules = api().get(BULK)["rules"]
        text = rules_file_write(rules)
        if file is not None:
            try:
                file.write_text(text)
            except OSError as error:
                why = FileInvalid(str(file), [(1, error.strerror or "cannot be written")])
                raise _refused(why, as_json=as_json) from None
            told({"file": str(file), "rules": len(rules)}, f"{len(rules)} rules in {file}", as_json=as_json)
        else:
            told({"rules": rules}, text.rstrip("\n"), as_json=as_json)


@app.command()
def diff(file: FileName, prune: Prune = True, as_json: AsJson = False) -> None:
    """What applying the file would change, line by line. Ends with 1 where it would change something.

    Example: ratelimiter rules diff rules.yaml
    """
    with ending(as_json=as_json):
        asked, wanted = api(), read(file, as_json=as_json)
        done = planned(asked, wanted, prune=prune, as_json=as_json)
        held = {identity(rule): rule for rule in asked.get(BULK)["rules"]}
        changes = changed(done)
        told(done, "\n".join(_lines(wanted, held, done)) or "Nothing would change.", as_json=as_json)
    if changes:
        raise typer.Exit(Exit.NO)


@app.command()
def apply(
    file: FileName,
    prune: Prune = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make the rules as the file says, all or nothing. Whoever changed rules meanwhile is not overwritten.

    Example: ratelimiter rules apply rules.yaml --dry-run
    """
    with ending(as_json=as_json):
        asked, wanted = api(), read(file, as_json=as_json)
        if dry_run:
            done = planned(asked, wanted, prune=prune, as_json=as_json)
        else:
            etag = asked.ask("GET", BULK).headers["ETag"]
            done = put(asked, wanted, {"prune": _word(prune)}, as_json=as_json, headers={"If-Match": etag})
        told(done, _summary(done), as_json=as_json)


def read(file: str, *, as_json: bool) -> RulesFile:
    try:
        return rules_file_read(file)
    except FileInvalid as error:
        raise _refused(error, as_json=as_json) from None


def planned(asked: Api, wanted: RulesFile, *, prune: bool, as_json: bool) -> Any:
    return put(asked, wanted, {"prune": _word(prune), "dry_run": "true"}, as_json=as_json)


def put(
    asked: Api, wanted: RulesFile, query: dict[str, str], *, as_json: bool, headers: dict[str, str] | None = None
) -> Any:
    """Raises Problem; what is wrong with the file is told by its lines."""
    try:
        return asked.ask("PUT", BULK, query=query, body=wanted.content, headers=headers).json()
    except Problem as problem:
        if problem.status != 400 or not problem.errors:
            raise
        raise _refused(wanted.blamed(problem.errors), as_json=as_json) from None


def changed(done: Any) -> bool:
    return bool(done["created"] or done["updated"] or done["deleted"])


def identity(rule: Any) -> str:
    """As the service calls it: with its namespace where it is not the default."""
    namespace = rule.get("namespace") or "default"
    return str(rule["name"]) if namespace == "default" else f"{namespace}/{rule['name']}"


def _lines(wanted: RulesFile, held: dict[str, Any], done: Any) -> list[str]:
    """A unified diff of each rule that would change, in the file's own words where it says them."""
    said = {identity(rule): rule for rule in wanted.content["rules"]}
    found: list[str] = []
    for name in [*done["deleted"], *done["updated"], *done["created"]]:
        before = _words(held[name]) if name in held else []
        after = _words(said[name], like=held.get(name)) if name in said else []
        found += difflib.unified_diff(before, after, f"now: {name}", f"file: {name}", lineterm="", n=1)
    return found


def _words(rule: Any, like: Any = None) -> list[str]:
    """What the file leaves out is as it was where the service would keep it: overrides."""
    whole = dict(rule)
    if like is not None and "overrides" not in whole:
        whole["overrides"] = like["overrides"]
    whole.setdefault("overrides", [])
    if like is not None:
        whole = {name: whole[name] for name in like if name in whole} | whole
    return rules_file_write([whole]).splitlines()[1:]


def _summary(done: Any) -> str:
    verb = "would be " if done["dry_run"] else ""
    parts = [
        f"{len(done[what])} {verb}{what}" + (f" ({', '.join(done[what])})" if done[what] else "")
        for what in ("created", "updated", "deleted")
        if done[what]
    ]
    return "; ".join([*parts, f"{len(done['unchanged'])} as they are"])


def _refused(error: FileInvalid, *, as_json: bool) -> typer.Exit:
    if as_json:
        errors = [{"file": error.path, "line": line, "message": text} for line, text in error.problems]
        told({"code": "file_invalid", "errors": errors}, "", as_json=True)
    else:
        typer.echo(str(error), err=True)
    return typer.Exit(Exit.INVALID)


def _word(value: bool) -> str:
    return "true" if value else "false"
