"""The programme grid of communes: sessions of ordered items, filled day by day."""
