"""The demo: two example services, a fake Gemini, a scripted incident, and the local backend that sees it all."""
