"""What a project or a file has, as Python: read the JSON, tie it together, write modules, show that nothing is lost."""
