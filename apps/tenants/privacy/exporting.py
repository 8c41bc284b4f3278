"""Exports: asked for by an owner, made by a task, kept for seven days in a folder that no server serves, downloaded
through a link that is signed for one person and ten minutes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_hex
from smtplib import SMTPException

import structlog
from anymail.exceptions import AnymailError
from django.conf import settings
from django.core import signing
from django.db import IntegrityError, transaction
from django.db.models import F
from django.urls import reverse

from apps.core.enqueue import enqueue
from apps.core.errors import Conflict, NotFound
from apps.core.mail import mail_compose
from apps.tenants.audit.writing import Target, audit_write
from apps.tenants.models import Export
from apps.tenants.privacy.archive import archive_write
from apps.tenants.selectors import tenant_get

KEPT = timedelta(days=7)
LINK_S = 600
MAX_A_DAY = 5
MAX_TRIES = 3
TRY_AGAIN = timedelta(minutes=30)  # longer than any takes
_SALT = "tenants.export"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ExportInfo:
    id: int
    asked_at: datetime
    done_at: datetime | None
    failed_at: datetime | None
    expires_at: datetime | None
    is_there: bool
    size_bytes: int
    rows: int
    sha256: str


def exports_of(tenant_id: int, *, limit: int = 10) -> list[ExportInfo]:
    """Newest first."""
    return [_info(row) for row in Export.objects.filter(tenant_id=tenant_id).order_by("-id")[:limit]]


@transaction.atomic
def export_ask(*, tenant_id: int, user_id: int, now: datetime) -> ExportInfo:
    """Raises Conflict while one is being made, and at MAX_A_DAY."""
    if Export.objects.filter(tenant_id=tenant_id, asked_at__gt=now - timedelta(days=1)).count() >= MAX_A_DAY:
        raise Conflict(f"{MAX_A_DAY} exports were made within a day; try again tomorrow.")
    try:
        with transaction.atomic():
            made = Export.objects.create(tenant_id=tenant_id, asked_by_id=user_id, asked_at=now, try_after=now)
    except IntegrityError:
        raise Conflict("An export is being made already.") from None
    _audit("export.asked", made)
    enqueue("tenants.export_make", export_id=made.id)
    return _info(made)


def export_make(*, export_id: int, now: datetime) -> bool:
    """False when it is done, another one is at it, or it has failed for good. Outside of any transaction."""
    open_ = Export.objects.filter(id=export_id, done_at=None, failed_at=None, try_after__lte=now)
    if not open_.update(try_after=now + TRY_AGAIN, tries=F("tries") + 1, file=f"{export_id}-{token_hex(16)}.zip"):
        return False
    held = Export.objects.get(id=export_id)
    if held.tries > MAX_TRIES:
        Export.objects.filter(id=export_id).update(failed_at=now, file="")
        return False
    folder = Path(settings.EXPORT_DIR)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _leftovers_remove(export_id, but=held.file)
    made = archive_write(tenant_id=held.tenant_id, path=folder / held.file, now=now)
    rows = sum(entry.rows for entry in made.entries)
    mine = Export.objects.filter(id=export_id, file=held.file)  # not of one that came later
    if not mine.update(
        done_at=now, expires_at=now + KEPT, size_bytes=made.size_bytes, sha256=made.sha256, rows=rows
    ):  # fmt: skip
        (folder / held.file).unlink(missing_ok=True)
        return False
    log.info("export_made", export=export_id, tenant=held.tenant_id, rows=rows, bytes=made.size_bytes)
    export_tell(export_id=export_id, now=now)
    return True


def export_tell(*, export_id: int, now: datetime) -> bool:
    """To whoever asked; what fails is tried again by the sweep."""
    held = Export.objects.select_related("asked_by", "tenant").get(id=export_id)
    if held.told_at is not None or held.asked_by is None:
        return False
    url = settings.PORTAL_URL + reverse("tenants:exports", args=[held.tenant.slug])
    context = {"tenant": held.tenant, "export": _info(held), "url": url}
    mail = mail_compose(
        name="export_ready", to=[held.asked_by.email], context=context, headers={"Auto-Submitted": "auto-generated"}
    )
    try:
        mail.send()
    except (SMTPException, AnymailError, OSError) as error:
        log.warning("export_mail_not_sent", export=export_id, reason=type(error).__name__)
        return False
    Export.objects.filter(id=export_id).update(told_at=now)
    return True


def export_link(*, export_id: int, user_id: int) -> str:
    """Good for that person, for LINK_S."""
    return signing.dumps([export_id, user_id], salt=_SALT)


@transaction.atomic
def export_open(*, tenant_id: int, user_id: int, link: str, now: datetime) -> Path:
    """Writes down that it was downloaded. Raises NotFound for a link that is not theirs or too old, or no file."""
    try:
        export_id, owner_id = signing.loads(link, salt=_SALT, max_age=LINK_S)
    except (signing.BadSignature, ValueError):
        raise NotFound("The link is too old. The page has a new one.") from None
    held = Export.objects.filter(id=export_id, tenant_id=tenant_id, expires_at__gt=now).exclude(file="").first()
    if held is None or owner_id != user_id:
        raise NotFound("There is no such export.")
    path = Path(settings.EXPORT_DIR) / held.file
    if not path.is_file():
        raise NotFound("The file is not here any more. Make a new export.")
    _audit("export.downloaded", held)
    return path


def exports_sweep(*, now: datetime) -> int:
    """Returns how many files went."""
    for row in Export.objects.filter(done_at=None, failed_at=None, try_after__lte=now):
        enqueue("tenants.export_make", export_id=row.id)
    for row in Export.objects.filter(done_at__gt=now - KEPT, told_at=None, asked_by__isnull=False):
        export_tell(export_id=row.id, now=now)
    over = Export.objects.filter(expires_at__lte=now).exclude(file="")
    return _files_remove(over)


def exports_remove(tenant_id: int) -> None:
    """All files of the tenant's."""
    rows = list(Export.objects.filter(tenant_id=tenant_id))
    for row in rows:
        _leftovers_remove(row.id, but="")
    Export.objects.filter(tenant_id=tenant_id).update(file="")


def _files_remove(rows: Iterable[Export]) -> int:
    gone = 0
    for row in rows:
        (Path(settings.EXPORT_DIR) / row.file).unlink(missing_ok=True)
        gone += Export.objects.filter(id=row.id).update(file="")
    return gone


def _leftovers_remove(export_id: int, *, but: str) -> None:
    """What tries before left half written."""
    for path in Path(settings.EXPORT_DIR).glob(f"{export_id}-*.zip"):
        if path.name != but:
            path.unlink(missing_ok=True)


def _audit(action: str, row: Export) -> None:
    after = {"asked_at": row.asked_at, "sha256": row.sha256}
    audit_write(
        tenant_id=row.tenant_id, action=action, target=Target(row.id, tenant_get(row.tenant_id).name), after=after
    )


def _info(row: Export) -> ExportInfo:
    return ExportInfo(
        row.id, row.asked_at, row.done_at, row.failed_at, row.expires_at, bool(row.file and row.done_at),
        row.size_bytes, row.rows, row.sha256,
    )  # fmt: skip
