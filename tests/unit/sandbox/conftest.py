"""How the sandbox's tests ask it: at its desks without a socket, or over a real one."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
import pytest

from harvester.sandbox import Sandbox, SandboxConfig, World, open_sandbox
from harvester.sandbox.desk import Desk

CALL_LISTS = {
    "talkover": "api/v1/calls",
    "agentvoice": "api/calls",
    "talkpilot": "v1/agents/{agent}/calls",
    "bimpe": "api/v1/console/agents/{agent}/calls",
}


def headers_of(credential: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {credential}",
        "x-api-key": credential,
        "X-API-Key": credential,
        "x-organization-id": "org",
    }


class _Headers(dict[str, str]):
    """Headers by name in any case, as aiohttp has them."""

    def __init__(self, headers: dict[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in headers.items()})

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str]
    fault: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Counter:
    """One provider's desk, asked without a socket at times the test says."""

    def __init__(self, provider: str, config: SandboxConfig, credential: str = "sandbox") -> None:
        self.provider = provider
        self.credential = credential
        self.world = World(config)
        self.account = self.world.account(provider, credential)
        self.agents = self.account.agents()
        self.desk = Desk(provider, config, self.world)

    def ask(
        self, path: str, *, at: float = 0.0, headers: dict[str, str] | None = None, **query: Any
    ) -> Answer:
        path = path.format(agent=self.agents[0].id)
        sent = _Headers(headers_of(self.credential) if headers is None else headers)
        guest = self.desk.guest(sent)
        raw = urlencode({name.removesuffix("_"): value for name, value in query.items()}, quote_via=quote)
        verdict = self.desk.judge("GET", path.split("/"), raw, guest, now=at, wall=1_700_000_000.0 + at)
        reply = verdict.reply
        return Answer(reply.status, reply.body, reply.headers, verdict.fault)

    def calls(self, *, at: float = 0.0, **query: Any) -> Answer:
        """Ask for the provider's list of calls; of the first agent where it needs one."""
        return self.ask(CALL_LISTS[self.provider], at=at, **query)

    def walk(self, path: str, **query: Any) -> list[bytes]:
        """Read all pages by the provider's own rules, and cut them into rows."""
        size = "per_page" if self.provider == "talkover" else "limit"
        query = {size: 100} | query
        rows: list[bytes] = []
        for page in range(1, 1000):
            place: dict[str, Any] = {"offset": len(rows)} if self.provider == "agentvoice" else {"page": page}
            got = rows_of(self.ask(path, **query, **place))
            if not got:
                return rows
            rows += got
        raise AssertionError("a list without an end")

    def violations(self) -> list[str]:
        stats = self.desk.stats()
        tallies = [*stats["keys"], stats["strangers"]]
        return [text for tally in tallies for text in tally["violations"]["messages"]]


class _Envelope(msgspec.Struct):
    data: list[msgspec.Raw] = []


def rows_of(answer: Answer) -> list[bytes]:
    assert answer.status == 200, answer.body
    return [bytes(row) for row in msgspec.json.decode(answer.body, type=_Envelope).data]


@pytest.fixture
def counter() -> Callable[..., Counter]:
    def make(provider: str, **config: Any) -> Counter:
        return Counter(provider, SandboxConfig(**config))

    return make


@pytest.fixture
def cut_rows() -> Callable[[Answer], list[bytes]]:
    return rows_of


class Client:
    """A sandbox on a real socket, and a session to ask it."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.session = session
        self.headers = headers_of("sandbox")

    async def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        url = f"{self.sandbox.origin}{path}"
        async with self.session.get(url, headers=self.headers | headers) as response:
            return response.status, await response.read()


@pytest.fixture
def connect() -> Callable[..., Any]:
    @asynccontextmanager
    async def opened(**config: Any) -> AsyncIterator[Client]:
        async with (
            open_sandbox(SandboxConfig(**config)) as sandbox,
            aiohttp.ClientSession() as session,
        ):
            yield Client(sandbox, session)

    return opened


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
