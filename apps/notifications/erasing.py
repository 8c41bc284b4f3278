"""What this room holds of a tenant."""

from apps.notifications.house.sms import KEPT as SMS_KEPT
from apps.notifications.purging import KEPT
from apps.tenants.privacy.holdings import Holding, Retention, holdings_declare, retentions_declare


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
    retentions_declare(
        Retention("Notices", "Notices, and what became of their deliveries", KEPT),
        Retention("Notices", "How many SMS went out", SMS_KEPT),
        Retention("Notices", "Channels, with their addresses sealed", until="as long as they are connected"),
    )
