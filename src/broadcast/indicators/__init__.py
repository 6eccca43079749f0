"""Indicators of the plan and the evidence behind them."""
