"""CAP 1.2, the Common Alerting Protocol (OASIS, ITU-T X.1303), in and out."""
