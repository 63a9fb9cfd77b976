"""Who is told. Nothing secret stands here: addresses and keys come from the environment when sync renders them."""

from __future__ import annotations

from obskit.alerts import env, webhook

# Cloud Monitoring posts its JSON to this address.
oncall = webhook("oncall", url=env("ONCALL_WEBHOOK_URL"), display_name="On call")

# Others, made in the same way:
#
#   from obskit.alerts import email, slack, pagerduty
#
#   finance = email("finance", address="finance@example.com")
#   team = slack("team", channel="#alerts", token=env("SLACK_TOKEN"))
#   pager = pagerduty("pager", service_key=env("PAGERDUTY_SERVICE_KEY"))
