"""keys: who may ask."""

from typing import Annotated, Any
from uuid import uuid4

import typer

from ratelimiter.cli.access import api
from ratelimiter.cli.printing import AsJson, ending, table, told

KEYS = "/api/v1/api-keys"
KeyId = Annotated[int, typer.Argument(help="As “keys list” says it.")]

app = typer.Typer(no_args_is_help=True, help="API keys.")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """All keys, also those that were revoked.

    Example: ratelimiter keys list
    """
    with ending(as_json=as_json):
        keys = list(api().pages(KEYS, "api_keys"))
        rows = [
            (
                key["id"],
                key["name"],
                key["masked"],
                " ".join(key["scopes"]),
                key["last_used_at"] or "-",
                _state(key),
            )
            for key in keys
        ]
        told({"api_keys": keys}, table(("id", "name", "key", "scopes", "last used", "state"), rows), as_json=as_json)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="check, refund, read, admin; may come more than once.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live/--test", help="Test keys have counters of their own, unbilled.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a key. Its secret is printed once and cannot be read again.

    Example: ratelimiter keys create api-production --live --scope check --scope refund
    """
    with ending(as_json=as_json):
        said = {"name": name, "live": live, "scopes": scope or ["check"]}
        told_new(api().post(KEYS, said, headers=once()), as_json=as_json)


@app.command()
def rotate(
    key_id: KeyId,
    overlap: Annotated[int, typer.Option(help="Seconds that the old one goes on working.", min=0)] = 86_400,
    as_json: AsJson = False,
) -> None:
    """Make a new key like it. The old one ends after the overlap.

    Example: ratelimiter keys rotate 812 --overlap 3600
    """
    with ending(as_json=as_json):
        told_new(api().post(f"{KEYS}/{key_id}/rotate", {"overlap_s": overlap}, headers=once()), as_json=as_json)


@app.command()
def revoke(key_id: KeyId, as_json: AsJson = False) -> None:
    """End a key, at once.

    Example: ratelimiter keys revoke 812
    """
    with ending(as_json=as_json):
        key = api().post(f"{KEYS}/{key_id}/revoke", {})
        told(key, f"{key['name']} ({key['masked']}) is revoked.", as_json=as_json)


def once() -> dict[str, str]:
    """So that an answer that got lost on the way does not make two keys."""
    return {"Idempotency-Key": str(uuid4())}


def told_new(key: Any, *, as_json: bool) -> None:
    told(
        key,
        f"{key['secret']}\n{key['name']}, id {key['id']}. This is the only time that the secret is shown.",
        as_json=as_json,
    )


def _state(key: Any) -> str:
    if key["revoked_at"]:
        return "revoked"
    return f"until {key['expires_at']}" if key["expires_at"] else "works"
