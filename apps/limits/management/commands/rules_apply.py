import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from apps.core.command import WorkingCommand
from apps.core.errors import ApplicationError
from apps.core.scope import tenant_scope
from apps.limits import services
from apps.limits.rules_file import Problem, RuleEntry, RulesFileInvalid, rules_file_read, written_name
from apps.tenants.selectors import tenant_by_slug


class Command(WorkingCommand):
    help = "Make a tenant's rules as a YAML file says. All or nothing; again changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE.yaml")
        parser.add_argument("--tenant", required=True, metavar="SLUG")
        parser.add_argument("--prune", action="store_true", help="delete the rules that the file does not name")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["file"]
        try:
            tenant = tenant_by_slug(options["tenant"])
            applied = _apply(tenant.id, rules_file_read(file.read_text(encoding="utf-8")), prune=options["prune"])
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} cannot be read: {error}") from None
        except RulesFileInvalid as error:
            lines = [f"{file}:{problem.line}: {problem.message}" for problem in error.problems]
            raise CommandError("\n".join(["nothing was applied", *lines])) from None
        except ApplicationError as error:
            raise CommandError(error.detail) from None
        if options["json"]:
            self.stdout.write(json.dumps(asdict(applied)))
            return
        for what, names in asdict(applied).items():
            if names:
                self.stdout.write(f"{what}: {', '.join(names)}")


def _apply(tenant_id: int, entries: list[RuleEntry], *, prune: bool) -> services.Applied:
    try:
        with tenant_scope(tenant_id):
            return services.rules_apply(
                tenant_id=tenant_id,
                specs=[entry.spec for entry in entries],
                prune=prune,
                overrides={at: entry.overrides for at, entry in enumerate(entries) if entry.overrides is not None},
            )
    except services.RulesInvalid as error:
        raise RulesFileInvalid(
            [
                Problem(entries[position].line_of(field), f"{written_name(field)}: {sentence}")
                for position, field, sentence in error.problems
            ]
        ) from None
