"""How bytes move, and when; no provider is named here."""
