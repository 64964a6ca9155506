"""Passes over a parsed file: each edits it in place, and `plan.py` says which ones a file needs."""
