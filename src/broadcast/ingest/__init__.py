"""The inbound path: `pipeline` is the walk from the broker to the commit, `worker` runs it."""
