"""What an auditor asks for: search, export, verify, and the signatures to rely on."""
