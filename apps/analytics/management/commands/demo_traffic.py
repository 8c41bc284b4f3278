import contextlib
import http.client
import json
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.analytics.seeding.traffic import Traffic
from apps.analytics.services import marker_create
from apps.core.errors import Conflict, NotFound
from apps.core.scope import tenant_scope
from apps.tenants.selectors import tenant_by_slug

STEP_S = 0.1


class Command(BaseCommand):
    help = "Send believable traffic of the demo tenant through the door, until Ctrl-C. A day takes some minutes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--path", type=Path, default=Path("var/demo.json"), help="what `manage.py demo` wrote")
        parser.add_argument("--tenant", default="demo", metavar="SLUG", help="whose key that is; for deploy markers")
        parser.add_argument("--rate", type=float, default=30, help="checks a second, on average")
        parser.add_argument("--day", type=float, default=600, metavar="SECONDS", help="how long a day takes")
        parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            demo = json.loads(options["path"].read_text())
            tenant = tenant_by_slug(options["tenant"])
        except (OSError, ValueError, NotFound) as error:
            raise CommandError(f"there is no demo to send for: {error}") from error
        door = Door(demo["check_url"], demo["api_key"])
        traffic = Traffic(options["rate"], options["day"])
        begun, at_s = time.monotonic(), 0.0
        try:
            while at_s < options["seconds"]:
                for body in traffic.checks(at_s, STEP_S):
                    door.ask(body)
                now_s = max(at_s + STEP_S, time.monotonic() - begun)
                if traffic.deploys(at_s, now_s):
                    # A day of the demo is some minutes, and a real one holds so many markers.
                    with tenant_scope(tenant.id), contextlib.suppress(Conflict):
                        marker_create(tenant_id=tenant.id, kind="deploy", text="Release", at=timezone.now())
                at_s = now_s
                time.sleep(max(0.0, begun + at_s - time.monotonic()))
        except KeyboardInterrupt:
            self.stdout.write("")
        finally:
            door.close()
        told = ", ".join(f"{number} × {status}" for status, number in sorted(door.answers.items()))
        self.stdout.write(f"asked {sum(door.answers.values())} times: {told or 'no answer'}")


class Door:
    """One connection, made anew when it breaks. `answers` counts by HTTP status."""

    def __init__(self, url: str, key: str) -> None:
        self._address = urlsplit(url)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._connection = http.client.HTTPConnection(self._address.netloc, timeout=5)
        self.answers: dict[int, int] = {}

    def ask(self, body: dict[str, Any]) -> None:
        try:
            self._connection.request("POST", self._address.path, json.dumps(body), self._headers)
            response = self._connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()  # the next one tries again
            return
        self.answers[response.status] = self.answers.get(response.status, 0) + 1

    def close(self) -> None:
        self._connection.close()
