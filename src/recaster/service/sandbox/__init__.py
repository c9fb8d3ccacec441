"""The sandbox of `lp_test_` keys: one built-in source for every id, and no credits.

The clip shows a synthetic person (P006 of the package `openpeople`, MIT) and overlays of our own;
`tools/build_sandbox_source.py` makes it.
"""
