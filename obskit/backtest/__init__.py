"""What a policy would have done in the past, and what another threshold would have done."""
