"""What the server has seen, per provider and credential: for tests that judge a client by it."""

from collections import Counter, deque
from typing import Any

_MAX_MESSAGES = 100


class Tally:
    """Counts for one credential (or for all requests without a good one)."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Start anew; requests that are open stay counted as open."""
        self.requests: Counter[str] = Counter()
        self.answers: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()
        self.refused = 0
        self.max_per_second: int = 0
        self.max_in_flight: int = 0
        self.violations: int = 0
        self.messages: list[str] = []
        self._last_second: deque[float] = deque()

    def arrive(self, endpoint: str, now: float, in_flight: int) -> None:
        """Count a request at its arrival; `in_flight` has it already."""
        self.requests[endpoint] += 1
        second = self._last_second
        while second and second[0] <= now - 1:
            second.popleft()
        second.append(now)
        self.max_per_second = max(self.max_per_second, len(second))
        self.max_in_flight = max(self.max_in_flight, in_flight)

    def blame(self, messages: list[str]) -> None:
        """Note violations of the documents; each text is kept once."""
        self.violations += len(messages)
        for message in messages:
            if len(self.messages) < _MAX_MESSAGES and message not in self.messages:
                self.messages.append(message)

    def report(self) -> dict[str, Any]:
        """Give the counts as plain values."""
        return {
            "requests": dict(self.requests),
            "answers": {str(status): count for status, count in self.answers.items()},
            "faults": dict(self.faults),
            "refused": self.refused,
            "max_per_second": self.max_per_second,
            "max_in_flight": self.max_in_flight,
            "violations": {"count": self.violations, "messages": list(self.messages)},
        }
