"""Portals of communes (trang thông tin điện tử): registered, looked at, and judged."""
