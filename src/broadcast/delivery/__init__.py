"""The outbound path: what changed → documents, content and commands → broker."""
