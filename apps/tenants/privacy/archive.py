"""Everything that a tenant has, as a zip: JSON Lines per kind, a manifest with counts and SHA-256, and a README.

PostgreSQL makes the JSON and sends it by COPY, and what comes is compressed as it comes, so memory is bounded however
much there is. Each kind is read in a scope of its own: a row that is written meanwhile is in one kind and perhaps not
in another.
"""

import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from hashlib import file_digest, sha256
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from django.db import connection
from psycopg import sql

from apps.core.scope import tenant_scope
from apps.core.sealing import unseal
from apps.tenants.privacy.holdings import Holding, holdings, shown
from apps.tenants.selectors import tenant_get

# JSON has no control characters, so as quote and delimiter these two leave a line of CSV as it is.
_COPY = "COPY (SELECT to_json(row) FROM ({}) AS row) TO STDOUT (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')"
_README = """\
Everything that {name} has at Ratelimiter, as of {at}.

Each file holds one kind of thing: a line is a JSON object, its members are the columns of our database. Times are UTC.
manifest.json says how many lines and bytes each file has, and its SHA-256.

analytics/event.jsonl has the single checks of the last 30 days. Addresses, users, routes and attributes stand there as
digests; analytics/identifier.jsonl has the text of each digest that is known. The totals by minute, hour and day, in
analytics/check_*.jsonl and rule_*.jsonl, are kept longer.

Left out: secrets (API keys are kept as digests only; tokens and signing keys of channels), and what follows:
{left_out}
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the archive. `bytes` are those before compression."""

    name: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Archive:
    entries: list[Entry]
    size_bytes: int
    sha256: str


def archive_write(*, tenant_id: int, path: Path, now: datetime) -> Archive:
    """Raises TenantUnknown, OSError."""
    tenant = tenant_get(tenant_id)
    entries: list[Entry] = []
    with path.open("xb") as file, ZipFile(file, "w", ZIP_DEFLATED, compresslevel=zlib.Z_BEST_SPEED) as archive:
        entries += [_kind_write(archive, tenant_id, kind, now) for kind in _kinds()]
        left_out = "\n".join(f"- {held.table}: {held.not_exported}" for held in holdings() if held.not_exported)
        text = _README.format(name=tenant.name, at=now.isoformat(timespec="seconds"), left_out=left_out)
        archive.writestr(_info("README.txt", now), text)
        manifest = {"organisation": tenant.slug, "at": now.isoformat(), "files": [asdict(entry) for entry in entries]}
        archive.writestr(_info("manifest.json", now), json.dumps(manifest, indent=1))
    with path.open("rb") as made:
        return Archive(entries, path.stat().st_size, file_digest(made, "sha256").hexdigest())


@dataclass(frozen=True, slots=True)
class _Kind:
    """`query` is called inside the scope. What is `sealed` is opened on the way."""

    name: str
    query: Callable[[], sql.Composable]
    sealed: tuple[str, ...] = ()

    def line(self, raw: bytes) -> bytes:
        if not self.sealed:
            return raw
        row = json.loads(raw)
        opened = {name: unseal(row[name]) for name in self.sealed if row.get(name)}
        return json.dumps(row | opened, ensure_ascii=False).encode() + b"\n"


def _kinds() -> Iterator[_Kind]:
    for view in shown():
        yield _Kind(f"{view.name}.jsonl", partial(sql.SQL, view.query))
    for held in holdings():
        if not held.not_exported:
            name = f"{held.schema}/{held.name}.jsonl"
            yield _Kind(name, partial(_query_of, held), tuple(set(held.sealed) - set(held.hidden)))


def _query_of(holding: Holding) -> sql.Composable:
    """Its rows without what is hidden. The metered schemas are read through their views."""
    place, name = holding.schema, holding.name
    source = {"cell": name, "public": f"public.{name}"}.get(place, f"public.{place}_{name}")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
            " ORDER BY attnum",
            [source],
        )
        columns = [column for (column,) in cursor.fetchall() if column not in holding.hidden]
    return sql.SQL("SELECT {} FROM {} WHERE tenant_id = public.app_tenant()").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(*source.split("."))
    )


def _kind_write(archive: ZipFile, tenant_id: int, kind: _Kind, now: datetime) -> Entry:
    digest, rows, size = sha256(), 0, 0
    with tenant_scope(tenant_id), archive.open(_info(kind.name, now), "w", force_zip64=True) as file:
        statement = sql.SQL(_COPY).format(kind.query())
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for part in copy:  # a row each
                line = kind.line(bytes(part))
                file.write(line)
                digest.update(line)
                rows += line.count(b"\n")
                size += len(line)
    return Entry(kind.name, rows, size, digest.hexdigest())


def _info(name: str, now: datetime) -> ZipInfo:
    made = ZipInfo(name, now.timetuple()[:6])
    made.compress_type = ZIP_DEFLATED
    made.external_attr = 0o600 << 16
    return made
