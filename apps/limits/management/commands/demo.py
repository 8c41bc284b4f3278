import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from apps.core.command import WorkingCommand
from apps.core.errors import ApplicationError
from apps.limits import publishing
from apps.limits.demo import demo_ensure


class Command(WorkingCommand):
    help = "Make the demo tenant and its logins, and write how to reach them. Again: what was written goes on working."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--path", type=Path, required=True, help="JSON file to keep what is written")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["path"]
        try:
            demo = demo_ensure(kept=_kept(path), now=timezone.now())
        except ApplicationError as error:
            raise CommandError(error.detail) from None
        addresses = {
            "portal_url": settings.PORTAL_URL,
            "check_url": settings.CHECK_URL,
            "drf_check_url": settings.DRF_CHECK_URL,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(addresses | asdict(demo), indent=2) + "\n")
        publishing.sweep(now=timezone.now())  # doors that start now know everything at once
        self.stdout.write(f"{demo.tenant}: see {path}")


def _kept(path: Path) -> dict[str, str]:
    """What an earlier run wrote; a file that is no such thing is written anew."""
    try:
        kept = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {name: value for name, value in kept.items() if isinstance(value, str)} if isinstance(kept, dict) else {}
