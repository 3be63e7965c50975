"""Every call, transcript and recording out of voice-agent platforms."""

__version__ = "0.1.0"
