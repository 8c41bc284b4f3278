"""Every medium there is: one file and one row each."""

from datetime import timedelta

from apps.notifications.channels.base import Medium
from apps.notifications.channels.email import EmailSender

_PATIENT = tuple(timedelta(seconds=seconds) for seconds in (30, 120, 600, 1_800, 7_200, 14_400, 28_800, 43_200))

MEDIUMS = {
    medium.code: medium
    for medium in (
        Medium("email", "E-mail", "At least once, always with the same Message-ID.", EmailSender(), _PATIENT),
    )
}
