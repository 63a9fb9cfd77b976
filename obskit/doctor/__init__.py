"""`obskit doctor`: looks at an app and its environment, one kind of examination a file."""
