"""What this room holds of a tenant."""

from apps.tenants.holdings import Holding, holdings_declare


def holdings_register() -> None:
    holdings_declare(
        Holding(table="cell.notifications_attempt"),
        Holding(
            table="cell.notifications_channel",
            hidden=("secret", "code_nonce", "code_until", "code_tries"),
            sealed=("label", "secret"),
        ),
        Holding(table="cell.notifications_delivery"),
        Holding(table="cell.notifications_notice"),
        Holding(table="cell.notifications_preference"),
        Holding(table="cell.notifications_seen"),
        Holding(table="public.notifications_house_lane", not_exported="whose turn it is among our workers"),
    )
