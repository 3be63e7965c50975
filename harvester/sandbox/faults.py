"""Which request goes wrong, and how. Pure: the number of the request decides, not the clock."""

from .apis.base import Route
from .config import Faults
from .seed import GOLDEN, mix
from .world import Account

CAPTIVE_PORTAL = (
    b"<!DOCTYPE html><html><head><title>Welcome to our Wi-Fi</title></head>"
    b"<body><h1>Please accept the terms to go online</h1></body></html>"
)


def chance(key: int, request: int) -> float:
    """Draw a number in [0, 1) for a request; the same one every time."""
    return (mix(key + request * GOLDEN) >> 11) / (1 << 53)


class FaultPicker:
    """Decides for the requests of one credential.

    The faults of `times` are counted here, so each credential meets its own.
    """

    def __init__(self, faults: Faults, account: Account) -> None:
        self._faults = faults
        self._account = account
        self._rates = tuple(faults.rates.items())
        self._left = [rule.times for rule in faults.rules]
        self._key = mix(account.ledger.key ^ 0xFA)

    def pick(self, request: int, route: Route, page: int, rows_before: int) -> str | None:
        """Give the kind of fault this request meets, None for none.

        Args:
            request: Its number among the credential's requests, from 1.
            route: What it asks for.
            page: Which page of it, from 1.
            rows_before: How many rows stand before that page.
        """
        for place, rule in enumerate(self._faults.rules):
            if rule.times and not self._left[place]:
                continue
            if (
                rule.request in {0, request}
                and rule.endpoint in {"", route.endpoint}
                and rule.page in {0, page}
                and (not rule.deeper_than or rows_before > rule.deeper_than)
                and rule.call_id in {"", route.call}
                and (not rule.agent or self._is_agent(rule.agent, route.agent))
            ):
                self._left[place] -= 1
                return rule.kind
        if not self._rates:
            return None
        draw = chance(self._key, request)
        for kind, rate in self._rates:
            if draw < rate:
                return kind
            draw -= rate
        return None

    def _is_agent(self, wanted: str, agent_id: str) -> bool:
        if wanted.isdecimal() and int(wanted) < self._account.ledger.agents:
            wanted = self._account.ledger.agent_id(int(wanted))
        return wanted == agent_id
