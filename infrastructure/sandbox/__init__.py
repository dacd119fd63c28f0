"""`kefu sandbox`: a payment provider and an ERP with a ledger of their own, and faults on demand.

For demonstrations and tests; nothing of kefu uses it unless its URL is set.
"""
