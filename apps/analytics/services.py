"""Keeping the schema fit to be written to, and what tenants write themselves."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.analytics import partitions
from apps.analytics.models import Marker, Preference
from apps.core.enqueue import enqueue
from apps.core.errors import Conflict, Invalid
from apps.tenants.audit.writing import Target, audit_write

MAX_MARKER_TEXT = 80
MAX_MARKERS = 200  # a day


@dataclass(frozen=True, slots=True)
class Ensured:
    made: int
    dropped: list[str]


def tables_ensure(*, now: datetime, since: datetime | None = None) -> Ensured:
    """For the owner's role, after migrations and every hour: rights, partitions ahead, and none that is due to go.

    `since` is for those who bring old numbers along: partitions from then on, too.
    """
    partitions.rights_ensure()
    made = partitions.partitions_ensure(now=now, since=since)
    partitions.compression_ensure()
    return Ensured(made, partitions.expired_drop(now=now))


def marker_create(*, tenant_id: int, kind: str, text: str, at: datetime) -> Marker:
    """Inside the tenant's scope. Raises Invalid, Conflict at MAX_MARKERS a day."""
    text = " ".join(text.split())
    if kind not in {"deploy", "rule"}:
        raise Invalid("The kind is not valid.", fields={"kind": "Must be deploy or rule."})
    if not 1 <= len(text) <= MAX_MARKER_TEXT:
        raise Invalid("The text is not valid.", fields={"text": f"Use 1 to {MAX_MARKER_TEXT} characters."})
    if Marker.objects.filter(at__gte=at - timedelta(hours=12), at__lt=at + timedelta(hours=12)).count() >= MAX_MARKERS:
        raise Conflict(f"There are {MAX_MARKERS} markers on that day already.")
    made = Marker.objects.create(tenant_id=tenant_id, kind=kind, text=text, at=at)
    audit_write(
        tenant_id=tenant_id, action="marker.created", target=Target(f"{at:%Y%m%dT%H%M%S}", text), after={"at": at}
    )
    return made


def pseudonymise_set(*, tenant_id: int, pseudonymise: bool) -> None:
    """Of what ingest takes in from now on; the text of what it took in before is forgotten soon. Inside the tenant's
    scope.
    """
    before = Preference.objects.filter(tenant_id=tenant_id).values_list("pseudonymise", flat=True).first() or False
    if not Preference.objects.filter(tenant_id=tenant_id).update(pseudonymise=pseudonymise):
        Preference.objects.create(tenant_id=tenant_id, pseudonymise=pseudonymise)
    audit_write(
        tenant_id=tenant_id,
        action="privacy.changed",
        target=Target(tenant_id, "identifiers"),
        before={"pseudonymise": before},
        after={"pseudonymise": pseudonymise},
    )
    if pseudonymise:
        enqueue("analytics.identifiers_forget")  # the hourly purge does it, too
