"""From counted checks to money.

`ledger` posts settled hours, `rating` and `money` make bills of them, `periods` and `terms` say for when and at what
price. `overage` writes what is to be told to Stripe and `telling` tells it; `accounts` follows what Stripe says of
subscriptions, and `mirroring` fills dj-stripe's tables, which `mirror` installs. `metering` feeds the doors' counters,
`reconciliation` compares everybody's numbers. `gateways` and `webhooks` alone speak Stripe, and `sandbox` is Stripe's
stand-in, a program of its own.
"""
