"""From definitions in a folder to objects in a project: load, plan, apply. No state file."""
