"""How every cluster, village and commune is now: working, partly, not, or not known."""
