"""Outlines of units for the map: of a file that the province imports, else cells around points."""
