"""One file a service; its name is the pack's, with dashes. Each has a `Settings` and a `PACK`.

The data of long ones, their scenario and cases, stands in a file of its own, with a leading underscore.
"""
