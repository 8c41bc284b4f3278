"""The wire: who may ask, repetitions, pages of lists, expansion, and errors as Stripe words them."""

import json
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
import stripe

from apps.billing.sandbox.form import form_decode
from tests.billing.sandbox.rig import KEY, ROOT, Sandbox, client

ITEMS = {"items": [{"price": "a", "quantity": "2"}, {"price": "b"}]}


def call(sandbox, method, path, form=None, **headers):
    """Status, body and headers, without stripe-python in between."""
    data = urllib.parse.urlencode(form).encode() if form is not None else None
    request = urllib.request.Request(sandbox.url + path, data, {"Authorization": f"Bearer {KEY}", **headers})
    request.method = method
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.loads(response.read()), response.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read()), error.headers


@pytest.mark.parametrize("key", ["", "sk_live_" + "0" * 24, "whatever", "sk_test_"])
def test_only_test_keys_are_answered(sandbox, key):
    status, body, _ = call(sandbox, "GET", "/v1/account", Authorization=f"Bearer {key}")
    assert (status, body["error"]["type"]) == (401, "invalid_request_error")
    assert "0000" not in body["error"]["message"]


def test_the_key_may_come_as_a_user_name(sandbox):
    import base64

    basic = base64.b64encode(f"{KEY}:".encode()).decode()
    status, body, headers = call(sandbox, "GET", "/v1/account", Authorization=f"Basic {basic}")
    assert (status, body["object"]) == (200, "account")
    assert headers["Request-Id"].startswith("req_")


def test_a_version_is_accepted_and_said_again(sandbox):
    _, _, headers = call(sandbox, "GET", "/v1/account", **{"Stripe-Version": "2026-05-27.dahlia"})
    assert headers["Stripe-Version"] == "2026-05-27.dahlia"


def test_a_repetition_gets_the_first_answer_byte_for_byte(sandbox):
    once = {"Idempotency-Key": "one-customer"}
    first = call(sandbox, "POST", "/v1/customers", {"name": "Ada"}, **once)
    again = call(sandbox, "POST", "/v1/customers", {"name": "Ada"}, **once)
    assert again[:2] == first[:2]
    assert again[2]["Idempotent-Replayed"] == "true"
    assert first[2]["Idempotent-Replayed"] is None


def test_another_body_under_the_same_key_is_refused(sandbox):
    options = {"idempotency_key": "another-body"}
    sandbox.client.customers.create({"name": "Ada"}, options)
    with pytest.raises(stripe.IdempotencyError) as refused:
        sandbox.client.customers.create({"name": "Bob"}, options)
    assert refused.value.http_status == 400


def test_what_was_refused_may_be_said_right_under_the_same_key(sandbox):
    headers = {"Idempotency-Key": "put-right"}
    assert call(sandbox, "POST", "/v1/customers", {"colour": "red"}, **headers)[0] == 400
    assert call(sandbox, "POST", "/v1/customers", {"name": "Ada"}, **headers)[0] == 200


def test_a_declined_charge_is_repeated_as_declined_and_tried_once(shop):
    customer = shop.customer("pm_card_chargeCustomerFail")
    draft = shop.v1.invoices.create({"customer": customer.id})
    shop.v1.invoice_items.create({"customer": customer.id, "invoice": draft.id, "amount": 900, "currency": "usd"})
    shop.v1.invoices.finalize_invoice(draft.id, {"auto_advance": False})
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            shop.v1.invoices.pay(draft.id, {}, {"idempotency_key": f"pay-{draft.id}"})
    assert len(shop.v1.charges.list({"customer": customer.id}).data) == 1


def test_the_same_key_at_the_same_time_makes_one_customer(sandbox):
    def create(_):
        return call(sandbox, "POST", "/v1/customers", {"email": "race@example.com"}, **{"Idempotency-Key": "the-race"})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(create, range(16)))
    assert {status for status, _, _ in answers} <= {200, 409}
    assert len({body["id"] for status, body, _ in answers if status == 200}) == 1
    assert len(sandbox.client.customers.list({"email": "race@example.com"}).data) == 1


def test_lists_have_pages_in_both_directions(sandbox):
    made = [sandbox.client.customers.create({"email": "pages@example.com"}).id for _ in range(5)][::-1]
    first = sandbox.client.customers.list({"email": "pages@example.com", "limit": 2})
    assert ([one.id for one in first.data], first.has_more) == (made[:2], True)
    last = sandbox.client.customers.list({"email": "pages@example.com", "limit": 3, "starting_after": made[1]})
    assert ([one.id for one in last.data], last.has_more) == (made[2:], False)
    back = sandbox.client.customers.list({"email": "pages@example.com", "limit": 2, "ending_before": made[4]})
    assert ([one.id for one in back.data], back.has_more) == (made[2:4], True)
    assert [one.id for one in first.auto_paging_iter()] == made


def test_expansion_replaces_ids(shop):
    customer = shop.customer()
    subscription = shop.subscribe(customer, expand=["customer", "latest_invoice.payments", "items.data.price.product"])
    assert subscription.customer.email == "ada@example.com"
    assert subscription.latest_invoice.payments.data[0].status == "paid"
    assert subscription["items"].data[0].price.product.name == "Startup"
    listed = shop.v1.subscriptions.list({"customer": customer.id, "expand": ["data.latest_invoice"]})
    assert listed.data[0].latest_invoice.total == 4_900
    with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
        shop.v1.customers.retrieve(customer.id, {"expand": ["shoe_size"]})


def test_what_is_not_there_is_404_with_a_code(sandbox):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        sandbox.client.customers.retrieve("cus_nobody")
    assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")
    assert call(sandbox, "GET", "/v1/treasury/financial_accounts")[0] == 404


def test_unknown_parameters_are_refused_by_name_and_leave_nothing(sandbox):
    with pytest.raises(stripe.InvalidRequestError) as refused:
        sandbox.client.customers.create({"email": "odd@example.com", "invoice_settings": {"colour": "red"}})
    assert (refused.value.code, refused.value.param) == ("parameter_unknown", "invoice_settings[colour]")
    assert sandbox.client.customers.list({"email": "odd@example.com"}).data == []


TWO_ITEMS = {"items": [{"price": "a", "quantity": "2"}, {"price": "b"}]}


@pytest.mark.parametrize(
    ("form", "tree"),
    [
        ("items[0][price]=a&items[1][price]=b&items[0][quantity]=2", ITEMS),
        ("items[][price]=a&items[][quantity]=2&items[][price]=b", ITEMS),
        ("expand[]=a&expand[]=b", {"expand": ["a", "b"]}),
        ("metadata[a b]=%E2%82%AC&name=", {"metadata": {"a b": "€"}, "name": ""}),
        ("", {}),
    ],
)  # fmt: skip
def test_forms_are_read_as_stripe_reads_them(form, tree):
    assert form_decode(form) == tree


@pytest.mark.parametrize("path", ["/v1/customers", "/v1/customers/cus_x", "/checkout/x"])
def test_rubbish_is_answered_and_the_process_lives(sandbox, path):
    for body in (b"\xff\xfe", b"a[b=1", b"a=1&a[b]=2", b"[]=1", b"email[]=1&email[x]=2"):
        request = urllib.request.Request(sandbox.url + path, body, {"Authorization": f"Bearer {KEY}"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        with refused.value as answer:
            assert 400 <= answer.code < 500
    assert sandbox.process.poll() is None


def test_nothing_starts_beside_a_live_key(tmp_path):
    import os
    import subprocess
    import sys

    refused = subprocess.run(
        [sys.executable, "-m", "apps.billing.sandbox"],
        cwd=ROOT,
        env=os.environ | {"SANDBOX_FILE": str(tmp_path / "x"), "STRIPE_SECRET_KEY": "sk_live_" + "a" * 24},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert "STRIPE_SECRET_KEY" in refused.stderr
    assert "aaaa" not in refused.stderr


def test_a_second_process_on_the_same_file_is_refused(sandbox):
    import subprocess
    import sys

    refused = subprocess.run(
        [sys.executable, "-m", "apps.billing.sandbox"],
        cwd=ROOT,
        env=sandbox.environment | {"SANDBOX_BIND": "127.0.0.1:0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert "Another process" in refused.stderr


def test_stripe_python_as_a_module_talks_to_it_too(sandbox, monkeypatch):
    monkeypatch.setattr(stripe, "api_base", sandbox.url)
    monkeypatch.setattr(stripe, "api_key", KEY)
    monkeypatch.setattr(stripe, "default_http_client", None)  # the mirror's, which reaches no network
    customer = stripe.Customer.create(name="Ada", metadata={"tenant": "7"})
    assert stripe.Customer.retrieve(customer.id).metadata["tenant"] == "7"
    assert client(sandbox.url).customers.retrieve(customer.id).name == "Ada"


def test_faults_on_purpose_are_survived_with_keys_and_repetition(tmp_path):
    sandbox = Sandbox(tmp_path, SANDBOX_FAULTS="0.5")
    kinds, made = set(), set()
    for number in range(60):
        while True:
            try:
                options = {"idempotency_key": f"n-{number}"}
                made.add(sandbox.client.customers.create({"name": str(number)}, options).id)
                break
            except (stripe.APIError, stripe.RateLimitError, stripe.APIConnectionError) as error:
                kinds.add(type(error))
    sandbox.stop()
    calm = Sandbox(tmp_path)
    assert {one.id for one in calm.client.customers.list({"limit": 100}).data} == made
    calm.stop()
    assert kinds == {stripe.APIError, stripe.RateLimitError, stripe.APIConnectionError}
    assert len(made) == 60
