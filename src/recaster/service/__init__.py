"""Who, what and how much: one folder per domain: `model.py` (tables), `schemas.py` (wire shapes), `service.py` (rules).

It knows neither HTTP (`recaster.api`) nor the order of the work (`recaster.remix`). The tables point at each other, so
whoever imports one domain gets the tables of all.
"""

from recaster.service import tables

__all__ = ["tables"]
