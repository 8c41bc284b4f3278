"""A plan as it reads on the pricing page."""

from dataclasses import dataclass

from apps.plans.selectors import PlanInfo

_TYPE_WORDS = {"global": "global", "ip": "IP", "route": "route", "user": "user", "custom": "custom"}


@dataclass(frozen=True, slots=True)
class Line:
    words: str
    is_included: bool = True


@dataclass(frozen=True, slots=True)
class PlanCard:
    """`price` in whole dollars a month, `included_checks` a month, `overage_dollars` per 100,000 checks, 0 for none."""

    code: str
    name: str
    price: int
    is_from: bool
    included_checks: int
    overage: str
    overage_dollars: int
    lines: tuple[Line, ...]


def plan_card(plan: PlanInfo) -> PlanCard:
    lines = (
        Line(rule_types_words(plan.rule_types)),
        Line(f"Analytics of the last {_days_words(plan.retention_days)}"),
        Line("Webhooks and custom integrations" if plan.custom_integrations else "Webhooks", plan.webhooks),
        Line(f"Support: {plan.support[0].lower()}{plan.support[1:]}"),
        Line(f"{plan.sla_percent.normalize():f} % SLA" if plan.sla_percent else "SLA", plan.sla_percent is not None),
    )
    return PlanCard(
        code=plan.code,
        name=plan.name,
        price=plan.price_cents // 100,
        is_from=plan.price_is_from,
        included_checks=plan.included_checks,
        overage=_overage_words(plan),
        overage_dollars=(plan.overage_cents or 0) // 100,
        lines=lines,
    )


def rule_types_words(rule_types: tuple[str, ...]) -> str:
    """Reads like “Global, IP and route rules”."""
    words = [_TYPE_WORDS[name] for name in rule_types]
    text = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    return f"{text[0].upper()}{text[1:]} rules"


def _overage_words(plan: PlanInfo) -> str:
    if plan.overage_is_negotiated:
        return "beyond them: as agreed"
    if plan.overage_cents is None:
        return "never billed beyond them"
    return f"then ${plan.overage_cents / 100:.0f} per 100,000"


def _days_words(days: int) -> str:
    return "year" if days == 365 else f"{days} days"
