"""The logs of the other rooms, on the user's screen; nothing is set up on import."""

from __future__ import annotations

import logging

from .screen import Level, Screen

_THRESHOLDS = {-1: logging.WARNING, 0: logging.WARNING, 1: logging.INFO, 2: logging.DEBUG}
# What every record has; the rest is what a call gave as `extra`, and becomes fields of a JSON line.
_USUAL = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class ScreenHandler(logging.Handler):
    """Hands records to a Screen."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record; a traceback only where more was asked for."""
        fields = {key: value for key, value in record.__dict__.items() if key not in _USUAL}
        text = record.getMessage()
        if record.exc_info and self._screen.verbosity > 0:
            import traceback  # noqa: PLC0415 - for mistakes of ours alone

            text += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
        self._screen.say(_level(record.levelno), text, {"logger": record.name, **fields})


def _level(number: int) -> Level:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    return "info" if number >= logging.INFO else "debug"


def set_up_logs(screen: Screen) -> None:
    """Send what harvester logs to the screen, from warnings on; `-v` and `-vv` lower the bar."""
    logger = logging.getLogger("harvester")
    logger.handlers = [ScreenHandler(screen)]
    logger.setLevel(_THRESHOLDS[min(screen.verbosity, 2)])
    logger.propagate = False
