"""How the calls of each provider look, as JSON: one module a provider, each from its document alone."""
