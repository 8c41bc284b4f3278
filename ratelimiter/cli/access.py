"""login, logout and whoami."""

import os
from dataclasses import replace
from typing import Annotated, Any

import typer

from ratelimiter.cli.client import Api, Problem, answered, good, session_new
from ratelimiter.cli.printing import AsJson, ending, told
from ratelimiter.cli.profile import Profile, profile_forget, profile_read, profile_write

URL = "http://127.0.0.1:8000"


def api() -> Api:
    """By what is remembered and what the environment says. Raises NotLoggedIn, ProfileUnreadable."""
    return Api(profile_read(os.environ), lambda profile: profile_write(profile, os.environ))


def login(
    url: Annotated[str, typer.Option(help="The portal's address.", envvar="RATELIMITER_URL")] = URL,
    email: Annotated[str, typer.Option(help="Log in as a person instead of with an API key.")] = "",
    organisation: Annotated[str, typer.Option(help="Its short name, for who belongs to several.")] = "",
    as_json: AsJson = False,
) -> None:
    """Remember who asks.

    Without --email you are asked for an API key; the scope admin changes rules. With it, for your password and, where
    your account has one, for the second step's code. Neither is ever an argument, where others could read it.

    Example: ratelimiter login --url https://limits.example.com
    """
    with ending(as_json=as_json):
        place = Profile(url=url.rstrip("/"), organisation=organisation)
        if email:
            pair = _pair(place.url, email)
            profile = replace(place, access_token=pair["access_token"], refresh_token=pair["refresh_token"])
        else:
            profile = replace(place, api_key=typer.prompt("API key", hide_input=True, err=True).strip())
        me = Api(profile, keep=lambda _: None).get("/api/v1/me")
        profile = replace(profile, organisation=me["organisation"]["slug"])
        path = profile_write(profile, os.environ)
        told(me, f"Logged in to {me['organisation']['name']} {_as(me)}; remembered in {path}", as_json=as_json)


def logout(as_json: AsJson = False) -> None:
    """Forget who asks, and end the login of a person.

    Example: ratelimiter logout
    """
    with ending(as_json=as_json):
        profile = profile_read(os.environ)
        if profile.refresh_token and profile.url:
            said = {"refresh_token": profile.refresh_token}
            try:
                good(answered(session_new(), "POST", f"{profile.url}/api/v1/token/revoke", json=said))
            except Problem as problem:
                if problem.status != 401:  # it has ended already
                    raise
        profile_forget(os.environ)
        told({"logged_in": False}, "Logged out.", as_json=as_json)


def whoami(as_json: AsJson = False) -> None:
    """Whose credential is used, and what it may.

    Example: ratelimiter whoami --json
    """
    with ending(as_json=as_json):
        me = api().get("/api/v1/me")
        may = ", ".join(me["permissions"]) or "nothing but the check API"
        text = f"{me['organisation']['name']}, {_as(me)}: {may}"
        told(me, text, as_json=as_json)


def _as(me: Any) -> str:
    return f"with the API key {me['id']}" if me["kind"] == "key" else f"as {me['role']}"


def _pair(url: str, email: str) -> Any:
    """Raises Problem, Unreachable."""
    session = session_new()
    said = {"email": email, "password": typer.prompt("Password", hide_input=True, err=True)}
    try:
        return good(answered(session, "POST", f"{url}/api/v1/token", json=said)).json()
    except Problem as problem:
        if problem.code != "code_needed":
            raise
    said["code"] = typer.prompt("Code of the second step", err=True).strip()
    return good(answered(session, "POST", f"{url}/api/v1/token", json=said)).json()
