"""What the product earns and what it takes to run it, for staff.

measures    recurring revenue, its movements, conversion and cohorts, of spans of paid plans
selectors   reads those spans, and what periods were billed
costs       the architecture's cost table, and prices of machines that follow from it
forecast    revenue and profit month by month, by assumptions that one can change
measured    what a check and an event cost on a core, as the benchmarks printed it
capacity    checks a second in, processes, shards, partitions and dollars out
forms       what staff may assume
pages       the two pages
"""
