"""The console: pages for broadcasters, the province and administrators.

Server-rendered; a page asks the use cases that REST asks, and shows the same values.
"""
