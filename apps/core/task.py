"""The base of every Celery task: what it changes is written down as its doing."""

from typing import Any

from celery import Task

from apps.core.origin import working


class WorkingTask(Task):  # type: ignore[misc]
    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with working("task", self.name, str(self.request.id or "")):
            return super().__call__(*args, **kwargs)
