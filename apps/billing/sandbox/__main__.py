"""`python -m apps.billing.sandbox`: Stripe's stand-in. docs/billing-sandbox.md says what it speaks."""

import os
import signal
import sys
import threading

from apps.billing.sandbox.accounts import own_endpoint_set
from apps.billing.sandbox.api import MODULES
from apps.billing.sandbox.delivery import Courier
from apps.billing.sandbox.server import Server
from apps.billing.sandbox.settings import settings_read
from apps.billing.sandbox.store import Store
from apps.billing.sandbox.ticker import Ticker


def main() -> None:
    assert MODULES
    settings = settings_read(os.environ)
    store = Store(settings.path, settings)
    server = Server(settings, store)
    with store.begin() as tx:
        own_endpoint_set(tx, settings)
    Ticker(store).start()
    Courier(store).start()

    def stop(*_: object) -> None:
        threading.Thread(target=server.shutdown).start()  # it waits for the loop below, which this thread runs

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    sys.stdout.write(f"Stripe's stand-in listens on {store.url}; no money moves.\n")
    sys.stdout.flush()
    server.serve_forever(poll_interval=0.2)
    store.close()
    os._exit(0)  # senders may be waiting for the store, and nothing is left to do


if __name__ == "__main__":
    main()
