"""Days that are not like others: lunar dates, holidays, mourning, exams. `law.py`, `lunar.py`."""
