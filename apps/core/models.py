"""The base of every table in a cell; no tables of its own."""

from django.db import models
from django.db.models.functions import Now


class NextRowId(models.Func):
    """nextval of the one sequence that all rows of all cells share, so that rows can move between cells."""

    function = "nextval"
    template = "%(function)s('public.row_id')"
    output_field = models.BigIntegerField()


class CellRow(models.Model):
    """Its migration calls `core.rls.protect`. No foreign key leaves the cell, hence a number instead of a relation."""

    id = models.BigIntegerField(primary_key=True, db_default=NextRowId(), editable=False)
    tenant_id = models.BigIntegerField(editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        abstract = True
