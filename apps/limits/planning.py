"""What applying rules would do, by doing it and taking it back: so it is refused where applying would be."""

from collections.abc import Mapping, Sequence

from django.db import transaction

from apps.limits.overrides import OverrideSpec
from apps.limits.services import Applied, rules_apply
from apps.limits.specs import RuleSpec


def rules_plan(
    *, tenant_id: int, specs: Sequence[RuleSpec], prune: bool, overrides: Mapping[int, Sequence[OverrideSpec]]
) -> Applied:
    """As `rules_apply`, and nothing is changed. Raises as it does."""
    with transaction.atomic():
        planned = rules_apply(tenant_id=tenant_id, specs=specs, prune=prune, overrides=overrides)
        transaction.set_rollback(True)
    return planned
