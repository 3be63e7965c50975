"""One provider's storage: the files behind the links in its rows. It is asked without credentials.

It has limits, faults and counts of its own, apart from those of the API.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from .apis.base import Reply, Route, Verdict, with_headers
from .apis.query import Query
from .config import Behaviour
from .faults import FaultPicker, chance
from .limits import Limiter
from .media import TYPES, XML_TYPE, credentials_in, piece_of, sound, storage_error
from .seed import mix
from .stats import Tally
from .world import Account, World


class Depot:
    """The files of one account.

    Attributes:
        number: How many requests there were.
        in_flight: How many of them are open.
    """

    def __init__(self, account: Account) -> None:
        media = account.behaviour.media
        self.account = account
        self.limiter: Limiter = Limiter(media.limits)
        self.faults: FaultPicker = FaultPicker(media.faults, account)
        self.tally: Tally = Tally()
        self.luck: int = mix(account.ledger.key ^ 0x3ED1A)
        self.number = 0
        self.in_flight = 0


class _File(Struct, frozen=True):
    depot: Depot
    call: int
    name: str
    kind: str


class Storage:
    """Judges the requests for files of one provider."""

    def __init__(self, provider: str, behaviour: Behaviour, world: World) -> None:
        self.behaviour = behaviour
        self.strangers: Tally = Tally()
        self._provider = provider
        self._world = world
        self._depots: dict[int, Depot] = {}

    def depot(self, name: str) -> Depot | None:
        """Say whose a file is; None if nobody's."""
        found = self._find(name)
        return None if found is None else found.depot

    def judge(
        self, method: str, name: str, raw_query: str, headers: Mapping[str, str], *, now: float, wall: float
    ) -> Verdict:
        """Answer a request.

        Args:
            method: The HTTP method.
            name: The file.
            raw_query: The query as sent.
            headers: As sent.
            now: Monotonic seconds at arrival.
            wall: Unix seconds at arrival.
        """
        found, query = self._find(name), Query(raw_query)
        tally = self.strangers if found is None else found.depot.tally
        query.audit({"expires", "signature"})
        tally.arrive("media", now, 0 if found is None else found.depot.in_flight)
        tally.blame(query.violations + [f"{header} sent to media" for header in credentials_in(headers)])
        if found is None:
            return Verdict(self._refuse(404, "The specified key does not exist.", "0"))
        if method != "GET":
            tally.blame([f"{method} media"])
            return Verdict(self._refuse(405, "The method is not allowed.", "0"))
        found.depot.number += 1
        return self._judge_file(found, query, headers, now=now, wall=wall)

    def stats(self) -> dict[str, Any]:
        """Give the counts of all accounts in the order of their first request, never naming them."""
        keys = [{"index": index} | depot.tally.report() for index, depot in enumerate(self._depots.values())]
        return {"keys": keys, "strangers": self.strangers.report()}

    def reset(self) -> None:
        """Start all counts anew."""
        self.strangers.clear()
        for depot in self._depots.values():
            depot.tally.clear()

    def _find(self, name: str) -> _File | None:
        stem, _, kind = name.rpartition(".")
        for account in self._world.accounts(self._provider):
            call = account.ledger.plain_number(stem)
            if call is not None and kind in TYPES:
                key = account.ledger.key
                if key not in self._depots:
                    self._depots[key] = Depot(account)
                return _File(self._depots[key], call, stem, kind)
        return None

    def _judge_file(
        self, found: _File, query: Query, headers: Mapping[str, str], *, now: float, wall: float
    ) -> Verdict:
        depot = found.depot
        luck = chance(depot.luck, depot.number)
        wait = depot.limiter.arrive(now, in_flight=depot.in_flight, luck=luck)
        told = depot.limiter.headers(now, wall, wait)
        request_id = f"{mix(depot.luck + depot.number):016X}"
        fault = ""
        if wait is not None:
            depot.tally.refused += 1
            reply = self._refuse(429, "Please reduce your request rate.", request_id)
        else:
            call_id = depot.account.ledger.call_id(found.call)
            fault = depot.faults.pick(depot.number, Route("media", call=call_id), 1, 0) or ""
            if fault:
                depot.tally.faults[fault] += 1
            if fault.isdecimal() or fault == "success_false":
                status, fault = int(fault) if fault.isdecimal() else 200, ""
                reply = self._refuse(status, "We encountered an internal error.", request_id)
            else:
                reply = self._answer(found, query, headers.get("Range"), now, request_id)
        return Verdict(with_headers(reply, told), fault)

    def _answer(
        self, found: _File, query: Query, asked_range: str | None, now: float, request_id: str
    ) -> Reply:
        account, call = found.depot.account, found.call
        is_dated = (query.text("expires") or "").isdecimal()
        if not is_dated or not account.is_signed(call, query.text("signature")):
            said = "The signature does not match."
            return self._refuse(403, said, request_id, code="SignatureDoesNotMatch")
        if not account.is_link_good(call, now):
            return self._refuse(403, "Request has expired", request_id)
        size = account.recording_size(call, found.kind)
        if size is None:
            return self._refuse(404, "The specified key does not exist.", request_id)
        piece = piece_of(asked_range, size)
        if piece.status == 416:
            reply = self._refuse(416, "The requested range is not satisfiable.", request_id)
            return with_headers(reply, {"Content-Range": f"bytes */{size}"})
        told = {"Content-Type": TYPES[found.kind], "Accept-Ranges": "bytes"}
        if piece.status == 206:
            told["Content-Range"] = f"bytes {piece.first}-{piece.end - 1}/{size}"
        return Reply(piece.status, sound(found.name, found.kind, size)[piece.first : piece.end], told)

    def _refuse(self, status: int, said: str, request_id: str, *, code: str = "") -> Reply:
        """Say no; a careless storage does so with a status that says yes."""
        page = storage_error(status, said, request_id, code=code)
        shown = 200 if self.behaviour.media.errors_are_200 and status in {403, 404} else status
        return Reply(shown, page, {"Content-Type": XML_TYPE})
