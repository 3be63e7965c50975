"""Export and sync: from sources to committed segments."""
