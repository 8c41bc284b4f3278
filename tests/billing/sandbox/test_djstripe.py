"""dj-stripe takes over what the stand-in holds, and its webhooks."""

import json
import subprocess
import sys

import pytest

from tests.billing.sandbox.rig import KEY, ROOT, START, Sandbox, Shop
from tests.billing.sandbox.test_pages import card, session, visit


@pytest.mark.slow
def test_dj_stripe_syncs_everything_and_accepts_a_signed_event(tmp_path):
    sandbox = Sandbox(tmp_path)
    shop = Shop(sandbox)
    customer = shop.customer(tax_id_data=[{"type": "eu_vat", "value": "DE123456789"}])
    coupon = shop.v1.coupons.create({"percent_off": 10, "duration": "once"})
    shop.subscribe(customer, discounts=[{"coupon": coupon.id}])
    shop.v1.invoice_items.create({"customer": customer.id, "amount": 100, "currency": "usd"})
    shop.advance(START + 32 * 86_400)
    visit(session(shop, shop.customer(card=None)).url, card())
    charge = shop.v1.charges.list().data[0]
    shop.v1.refunds.create({"charge": charge.id, "amount": 100})
    shop.v1.credit_notes.create({"invoice": shop.invoices(customer)[0].id, "amount": 200, "credit_amount": 200})
    shop.v1.setup_intents.create({"customer": customer.id, "payment_method": "pm_card_visa", "confirm": True})
    endpoint = shop.v1.webhook_endpoints.create(
        {"url": "http://127.0.0.1:9/never", "enabled_events": ["account.updated"]}
    )
    done = subprocess.run(
        [sys.executable, "-m", "tests.billing.sandbox.djstripe_sync", sandbox.url, KEY, endpoint.secret],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    sandbox.stop()
    assert done.returncode == 0, "\n".join([line for line in done.stderr.splitlines() if "rror" in line])
    told = json.loads(done.stdout)
    assert [name for name, count in told["counts"].items() if count == 0] == []
    assert told["counts"]["Customer"] == 2
    assert told["answers"] == [200, 400]
