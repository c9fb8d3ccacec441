"""Who, what and how much: one folder per domain with `model.py` (tables), `schemas.py` (wire shapes) and `service.py` (rules).

It knows neither HTTP (`recaster.api`) nor the order of the work (`recaster.remix`).
"""
