"""The inbound path: worker → intake → decode → batch → store → acknowledge."""
