"""Definitions in other tools' formats. What a format cannot say is told with its place and the reason."""
