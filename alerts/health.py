"""What our services need from others."""

from __future__ import annotations

from alerts.channels import oncall
from obskit.alerts import provider_down

provider = provider_down(channels=[oncall])
