"""How AI calls are kept within the provider's limits; `obskit.llm.guard` is its front."""
