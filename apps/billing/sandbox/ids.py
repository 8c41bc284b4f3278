"""Object ids: Stripe's prefix and enough letters that nobody guesses a hosted page's address."""

import secrets
import string

ALPHABET = string.ascii_letters + string.digits
PREFIXES = {
    "account": "acct_",
    "billing.meter": "mtr_test_",
    "billing_portal.configuration": "bpc_",
    "billing_portal.session": "bps_",
    "charge": "ch_",
    "checkout.session": "cs_test_",
    "credit_note": "cn_",
    "credit_note_line_item": "cnli_",
    "customer": "cus_",
    "customer_balance_transaction": "cbtxn_",
    "discount": "di_",
    "event": "evt_",
    "invoice": "in_",
    "invoice_payment": "inpay_",
    "invoiceitem": "ii_",
    "item": "li_",
    "line_item": "il_",
    "payment_intent": "pi_",
    "payment_method": "pm_",
    "price": "price_",
    "product": "prod_",
    "refund": "re_",
    "request": "req_",
    "setup_intent": "seti_",
    "subscription": "sub_",
    "subscription_item": "si_",
    "subscription_schedule": "sub_sched_",
    "tax_id": "txi_",
    "test_helpers.test_clock": "clock_",
    "webhook_endpoint": "we_",
}


def new_id(kind: str, *, letters: int = 24) -> str:
    return PREFIXES[kind] + word(letters)


def word(letters: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(letters))
