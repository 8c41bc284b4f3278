"""The stand-in as the process that it is, and a server that its webhooks are sent to."""

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import stripe

ROOT = Path(__file__).resolve().parents[3]
KEY = "sk_test_" + "0" * 24
SECRET = "whsec_" + "s" * 24
START = 1_767_225_600  # 2026-01-01 00:00 UTC
HOUR, DAY = 3_600, 86_400


class Sandbox:
    """`stop` and `start` keep the file and the port."""

    def __init__(self, folder, **environment):
        self.file = folder / "sandbox.sqlite3"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("STRIPE")} | {
            "SANDBOX_BIND": "127.0.0.1:0",
            "SANDBOX_FILE": str(self.file),
            **environment,
        }
        self.process = None
        self.url = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "apps.billing.sandbox"],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline()
        assert line, "the stand-in did not start"
        self.url = line.split(" on ")[1].split(";")[0]
        self.environment["SANDBOX_BIND"] = self.url.removeprefix("http://")
        self.client = client(self.url)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(timeout=10)
        finally:
            self.kill()


def client(url, **options):
    return stripe.StripeClient(KEY, base_addresses={"api": url}, max_network_retries=0, **options).v1


class Shop:
    """A catalogue and customers on a test clock, as our own gateway would have them."""

    def __init__(self, sandbox, at=START):
        self.v1 = sandbox.client
        self.clock = self.v1.test_helpers.test_clocks.create({"frozen_time": at})
        self.now = at
        self.product = self.v1.products.create({"name": "Startup"})
        self.meter = self.v1.billing.meters.create(
            {
                "display_name": "Checks",
                "event_name": f"checks_{self.clock.id[-8:]}",
                "default_aggregation": {"formula": "sum"},
            }
        )
        self.base = self.price(4_900)
        self.pro = self.price(19_900)
        self.over = self.metered("0.005")
        self.over_pro = self.metered("0.003")

    def price(self, cents, interval="month"):
        return self.v1.prices.create(
            {
                "product": self.product.id,
                "currency": "usd",
                "unit_amount": cents,
                "recurring": {"interval": interval},
            }
        )

    def metered(self, cents):
        return self.v1.prices.create(
            {
                "product": self.product.id,
                "currency": "usd",
                "unit_amount_decimal": cents,
                "recurring": {"interval": "month", "usage_type": "metered", "meter": self.meter.id},
            }
        )

    def customer(self, card="pm_card_visa", **more):
        customer = self.v1.customers.create(
            {"email": "ada@example.com", "name": "Ada", "test_clock": self.clock.id, **more}
        )
        if card:
            self.card(customer, card)
        return customer

    def card(self, customer, card):
        method = self.v1.payment_methods.attach(card, {"customer": customer.id})
        self.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})
        return method

    def subscribe(self, customer, *prices, **more):
        items = [{"price": price.id} for price in prices or (self.base, self.over)]
        return self.v1.subscriptions.create({"customer": customer.id, "items": items, **more})

    def use(self, customer, units, identifier=None, at=None):
        return self.v1.billing.meter_events.create(
            {
                "event_name": self.meter.event_name,
                "payload": {"stripe_customer_id": customer.id, "value": str(units)},
                **({"identifier": identifier} if identifier else {}),
                **({"timestamp": at} if at else {}),
            }
        )

    def advance(self, to):
        self.v1.test_helpers.test_clocks.advance(self.clock.id, {"frozen_time": to})
        self.now = to
        wait(lambda: self.v1.test_helpers.test_clocks.retrieve(self.clock.id).status == "ready")

    def invoices(self, customer, **more):
        return list(self.v1.invoices.list({"customer": customer.id, "limit": 100, **more}).auto_paging_iter())[::-1]

    def status(self, subscription):
        return self.v1.subscriptions.retrieve(subscription.id).status


class Clock:
    """Customers of somebody else's catalogue that live by a test clock."""

    def __init__(self, url, at):
        self.v1 = client(url)
        self.now = at
        self._clock = self.v1.test_helpers.test_clocks.create({"frozen_time": at})

    def customer(self):
        return self.v1.customers.create({"email": "ada@example.com", "name": "Ada", "test_clock": self._clock.id})

    def advance(self, seconds):
        self.now += seconds
        self.v1.test_helpers.test_clocks.advance(self._clock.id, {"frozen_time": self.now})
        wait(lambda: self.v1.test_helpers.test_clocks.retrieve(self._clock.id).status == "ready")


def wait(done, timeout_s=20):
    deadline = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


class Receiver:
    """Takes webhooks, verifies them, and refuses as many as it is told to."""

    def __init__(self, secret=SECRET):
        self.events = []
        self.refused = []
        self.refuse = 0
        self.invalid = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    stripe.Webhook.construct_event(body, self.headers["Stripe-Signature"], secret)
                except stripe.SignatureVerificationError:
                    receiver.invalid += 1
                event = json.loads(body)
                if receiver.refuse:
                    receiver.refuse -= 1
                    receiver.refused.append(event["id"])
                    self.send_response(503)
                else:
                    receiver.events.append(event)
                    self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def types(self):
        return [event["type"] for event in self.events]

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
