"""Every task has a queue, and the Procfile has a process that takes it."""

import re

from apps.notifications.channels.table import MEDIUMS
from apps.notifications.models import MEDIA
from config.celery import app
from tests.browser.rig import ROOT


def queues_taken():
    lines = (ROOT / "Procfile").read_text()
    return {queue for found in re.findall(r"--queues (\S+)", lines) for queue in found.split(",")}


def test_every_channel_has_a_task_and_a_queue_of_its_own():
    app.loader.import_default_modules()
    assert set(MEDIUMS) == set(MEDIA)
    routes = app.conf.task_routes
    queues = [routes[f"notifications.{medium}"]["queue"] for medium in MEDIUMS]
    assert len(set(queues)) == len(MEDIUMS)
    assert {f"notifications.{medium}" for medium in MEDIUMS} <= set(app.tasks)


def test_every_queue_is_taken_by_a_process():
    wanted = {route["queue"] for route in app.conf.task_routes.values()} | {app.conf.task_default_queue}
    assert wanted == queues_taken()


def test_the_beat_sends_only_tasks_that_there_are():
    app.loader.import_default_modules()
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= set(app.tasks)
