"""What `obskit run` puts into the processes that it starts; this folder goes on their PYTHONPATH."""
