"""Who sends a request, and what the account may do; routes that ask before anything else."""
