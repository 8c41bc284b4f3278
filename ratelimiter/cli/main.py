"""The commands."""

import os
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from ratelimiter.cli import access, keys, rules
from ratelimiter.cli.access import api
from ratelimiter.cli.client import Api, NoKey, Problem
from ratelimiter.cli.printing import AsJson, Exit, ending, line_told, table, told

POLL_S = 1.5
LATE = timedelta(seconds=15)  # that a check may take to be counted
REMEMBERED = 20_000  # checks that were printed, so that none is twice
AT_ONCE = 1_000  # of them that one question may bring

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, context_settings={"help_option_names": ["-h", "--help"]},
    help="Rate limits from a terminal. Ends with 0 when all is well, 1 when a check is denied or files differ, 2 when "
    "something you said is not valid, 3 when the service refuses or does not answer.",
)  # fmt: skip
app.command()(access.login)
app.command()(access.logout)
app.command()(access.whoami)
app.add_typer(rules.app, name="rules")
app.add_typer(keys.app, name="keys")


@app.command()
def check(
    route: Annotated[str, typer.Option(help="As “POST /v1/chat”.")] = "",
    ip: Annotated[str, typer.Option(help="Of the caller.")] = "",
    user: Annotated[str, typer.Option(help="Your id of the caller.")] = "",
    attribute: Annotated[list[str] | None, typer.Option(help="name=value; may come more than once.")] = None,
    namespace: Annotated[str, typer.Option(help="Of the rules.")] = "",
    cost: Annotated[int, typer.Option(help="Units.", min=1)] = 1,
    peek: Annotated[bool, typer.Option("--peek", help="Ask without counting.")] = False,
    as_json: AsJson = False,
) -> None:
    """May this request pass? Ends with 0 when it may and with 1 when not. Needs an API key with the scope check.

    Example: ratelimiter check --route "POST /v1/chat" --user u_42 --peek
    """
    with ending(as_json=as_json):
        said: dict[str, Any] = {
            name: value
            for name, value in (("route", route), ("ip", ip), ("user", user), ("namespace", namespace))
            if value
        }
        said |= {"cost": cost, "mode": "peek" if peek else "consume"}
        if attribute:
            said["attributes"] = dict(_pair(text) for text in attribute)
        asked = api()
        if not asked.profile.api_key:
            raise NoKey
        answer = asked.ask("POST", "/api/v1/check", body=said, also=(429,))
        if answer.headers.get("RL-Decision") not in ("allow", "deny"):
            raise Problem(answer.status_code, "not_decided", "It was not decided; try again in a moment.")
        decision = answer.json()
        told(decision, _decided(decision), as_json=as_json)
    if not decision["allowed"]:
        raise typer.Exit(Exit.NO)


@app.command()
def usage(
    span: Annotated[str, typer.Option("--range", help="1h, 6h, 24h, 3d, 7d, 30d or 90d.")] = "24h",
    as_json: AsJson = False,
) -> None:
    """What was decided, by which rules, and what of the plan is used.

    Example: ratelimiter usage --range 7d
    """
    with ending(as_json=as_json):
        asked = api()
        totals = asked.get("/api/v1/analytics/series", range=span)["totals"]
        by_rule = asked.get("/api/v1/analytics/breakdown", range=span, by="rule")["rows"]
        bill = _bill(asked)
        lines = [f"{totals['checks']:,} checks, {totals['denied']:,} denied, {totals['shadow_denied']:,} in shadow"]
        if by_rule:
            rows = [(row["label"], f"{row['checks']:,}", f"{row['denied']:,}") for row in by_rule]
            lines += ["", table(("rule", "checks", "denied"), rows)]
        if bill:
            used, period = bill["usage"], bill["period"]
            spent = f"${bill['total_cents'] / 100:,.2f} so far"
            share = f"{used['checks']:,} of {used['included']:,} checks until {period['ends_at'][:10]}"
            share += f", {_counted(used['counted_until'])}"
            lines += ["", f"{bill['plan']['name']}: {share}, {spent}"]
        told({"totals": totals, "rules": by_rule, "billing": bill}, "\n".join(lines), as_json=as_json)


@app.command()
def tail(
    outcome: Annotated[str, typer.Option(help="Only these: allowed, denied …")] = "",
    user: Annotated[str, typer.Option(help="Only this caller's.")] = "",
    seconds: Annotated[float, typer.Option(help="Stop after so long; 0: never.", min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """Checks as they are counted, a few seconds after they were decided. With --json an object a line.

    Example: ratelimiter tail --outcome denied
    """
    with ending(as_json=as_json):
        wanted = {name: value for name, value in (("outcome", outcome), ("user", user)) if value}
        asked, ends_at = api(), time.monotonic() + seconds if seconds else None
        seen: deque[str] = deque(maxlen=REMEMBERED)
        since = datetime.now(UTC)
        while ends_at is None or time.monotonic() < ends_at:
            for event in reversed(list(_fresh(asked, since, wanted, set(seen)))):
                seen.append(event["id"])
                line_told(event, _event(event), as_json=as_json)
                since = max(since, datetime.fromisoformat(event["at"]))
            time.sleep(POLL_S)


def run() -> None:
    try:
        app()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise SystemExit(141) from None


def _fresh(asked: Api, since: datetime, wanted: dict[str, str], seen: set[str]) -> Iterator[dict[str, Any]]:
    """Newest first, as far as they were not printed before."""
    cursor, found = "", 0
    while found < AT_ONCE:
        page = asked.get(
            "/api/v1/analytics/events", since=(since - LATE).isoformat(), limit=100,
            **wanted, **({"cursor": cursor} if cursor else {}),
        )  # fmt: skip
        for event in page["events"]:
            found += 1
            if event["id"] not in seen:
                yield event
        cursor = page["next"] or ""
        if not cursor:
            return


def _bill(asked: Api) -> Any:
    """None for who may not see it."""
    try:
        return asked.get("/api/v1/billing")
    except Problem as problem:
        if problem.status != 403:
            raise
        return None


def _counted(until: str | None) -> str:
    return f"counted until {until[:16].replace('T', ' ')} UTC" if until else "its first hour is not counted yet"


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise typer.BadParameter(f"“{text}” is not name=value", param_hint="--attribute")
    return name, value


def _decided(decision: Any) -> str:
    word = "allowed" if decision["allowed"] else "denied"
    lines = [f"{word} ({decision['reason']})" + (", degraded" if decision["degraded"] else "")]
    if decision["results"]:
        rows = [
            (
                one["rule"], "allowed" if one["allowed"] else "denied", one["mode"],
                f"{one['remaining']} of {one['limit']}",
                f"{one['retry_after_ms'] / 1_000:g} s" if one["retry_after_ms"] else "",
            )
            for one in decision["results"]
        ]  # fmt: skip
        lines.append(table(("rule", "says", "mode", "left", "wait"), rows))
    return "\n".join(lines)


def _event(event: Any) -> str:
    rules_said = ", ".join(f"{one['rule'] or one['rule_id']}: {one['outcome']}" for one in event["results"])
    who = " ".join(part for part in (event["user"], event["ip"]) if part)
    return f"{event['at'][11:19]}  {event['outcome']:<8}  {event['route'] or '-'}  {who}  {rules_said}".rstrip()
