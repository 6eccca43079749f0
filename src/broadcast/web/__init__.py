"""What every REST answer and page has in common."""
