"""Imports every module that answers something; `routes` has the tables that they fill."""

from apps.billing.sandbox import (
    accounts,
    canceling,
    catalog,
    changes,
    coupons,
    customers,
    invoiceitems,
    invoices,
    itemroutes,
    meters,
    methods,
    preview,
    subscriptions,
    testclocks,
)

MODULES = (
    accounts, canceling, catalog, changes, coupons, customers, invoiceitems, invoices, itemroutes, meters, methods,
    preview, subscriptions, testclocks,
)  # fmt: skip
