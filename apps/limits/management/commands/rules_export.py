from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.errors import ApplicationError
from apps.core.scope import tenant_scope
from apps.limits.rules_export import rules_text
from apps.limits.selectors import overrides_of, rules_of
from apps.tenants.selectors import tenant_by_slug


class Command(BaseCommand):
    help = "Print a tenant's rules and overrides as the YAML file that rules_apply reads."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, metavar="SLUG")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            tenant = tenant_by_slug(options["tenant"])
        except ApplicationError as error:
            raise CommandError(error.detail) from None
        with tenant_scope(tenant.id):
            rules = rules_of(tenant.id)
            overrides = {rule.id: overrides_of(tenant_id=tenant.id, rule_id=rule.id) for rule in rules}
        self.stdout.write(rules_text(rules, overrides), ending="")
