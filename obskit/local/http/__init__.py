"""The local backend's HTTP services; each file holds one API as a table of routes."""
