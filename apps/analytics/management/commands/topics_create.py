from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from ratelimiter.events.bus import BusError
from ratelimiter.events.buses import topics_create


class Command(BaseCommand):
    help = "Make the topics of EVENTS_URL that are not there yet. What is there keeps its settings."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            made = topics_create(settings.EVENTS_URL)
        except BusError as error:
            raise CommandError(str(error)) from error
        self.stdout.write("\n".join(f"made {name}" for name in made) or "every topic is there")
