"""What this room holds of a tenant."""

from apps.tenants.privacy.holdings import Holding, holdings_declare


def holdings_register() -> None:
    holdings_declare(Holding(table="cell.apikeys_apikey", hidden=("digest",)))
