"""Recordings behind signed links: what they hold, when a link is good, and how a storage refuses."""

import io
import json
import wave
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.sandbox import FaultRule, Faults, Limits, Media, Quirks, SandboxConfig, World
from harvester.sandbox.apis.base import Verdict
from harvester.sandbox.media import Links, piece_of, sound
from harvester.sandbox.storage import Storage

PROVIDERS = ("agentvoice", "talkpilot")
LINK = {"agentvoice": "recording_url", "talkpilot": "audio_file_url"}


class Linked(NamedTuple):
    id: str
    name: str
    query: str


class Shop:
    """A provider's desk and its storage, asked without a socket."""

    def __init__(self, desk: Any) -> None:
        self.desk = desk
        self.account = desk.account
        self.storage = Storage(desk.provider, desk.account.behaviour, desk.world)

    def links(self) -> list[Linked]:
        """Give the links of all calls that have one, without having served them."""
        found = []
        for row in self.account.rows(shape="detail"):
            url = json.loads(row.raw)[LINK[self.desk.provider]]
            if url:
                parts = urlsplit(url)
                found.append(Linked(row.call_id or "", parts.path.rpartition("/")[2], parts.query))
        return found

    def serve(self, call: str, at: float = 0.0) -> None:
        """Ask for a call's detail, so that its link lives."""
        lead = "api/calls/" if self.desk.provider == "agentvoice" else "v1/agents/{agent}/calls/"
        assert self.desk.ask(lead + call, at=at).status == 200

    def fetch(self, link: Linked, at: float = 0.0, method: str = "GET", **headers: str) -> Verdict:
        return self.storage.judge(method, link.name, link.query, headers, now=at, wall=at)

    def status(self, link: Linked, at: float = 0.0) -> int:
        return self.fetch(link, at).reply.status


@pytest.fixture
def shop(counter: Any) -> Any:
    def opened(provider: str, media: Media | None = None, **config: Any) -> Shop:
        return Shop(counter(provider, **{"calls": 60, "agents": 1, "media": media or Media(), **config}))

    return opened


@pytest.mark.parametrize("provider", PROVIDERS)
def test_links_lead_to_the_recording(shop: Any, provider: str) -> None:
    """What is fetched is what the truth says, of the right kind, and no two are the same."""
    desk = shop(provider, quirks=Quirks(odd_ids=5))
    kind, magic = ("audio/mpeg", b"ID3") if provider == "agentvoice" else ("audio/wav", b"RIFF")
    bodies = set()
    for link in desk.links():
        if "/" not in link.id:
            desk.serve(link.id)
            reply = desk.fetch(link).reply
            assert (reply.status, reply.headers["Content-Type"]) == (200, kind)
            assert reply.body == desk.account.recording(link.id)
            assert reply.body.startswith(magic)
            bodies.add(reply.body)
    assert len(bodies) > 20
    assert desk.storage.stats()["keys"][0]["violations"]["count"] == 0


def test_truth_tells_what_has_no_recording(shop: Any) -> None:
    """A call without a link has no recording, nor has a provider that documents none."""
    desk = shop("talkpilot")
    silent = {row.call_id for row in desk.account.rows()} - {link.id for link in desk.links()}
    assert silent
    assert all(desk.account.recording(call) is None for call in silent)
    for provider in ("talkover", "bimpe"):
        account = World(SandboxConfig(calls=5)).account(provider)
        assert account.recording(next(account.rows()).call_id or "") is None
    with pytest.raises(KeyError):
        desk.account.recording("nothing")


@given(st.integers(256, 5000))
def test_sounds_have_the_size_that_was_asked(size: int) -> None:
    """Both kinds are of exactly that size; a wave file can be opened."""
    assert len(sound("a", "mp3", size)) == size
    data = sound("a", "wav", size)
    assert len(data) == size
    with wave.open(io.BytesIO(data)) as opened:
        assert opened.getnframes() == (size - 44) // 2
    assert sound("b", "wav", size) != data == sound("a", "wav", size)


@pytest.mark.parametrize("size", [0, 1000, 200_000])
def test_sizes_are_configured(shop: Any, size: int) -> None:
    """Recordings have half of the usual size to one and a half, and never less than a header needs."""
    desk = shop("agentvoice", Media(size_bytes=size))
    sizes = [len(desk.account.recording(link.id)) for link in desk.links()]
    assert all(max(256, size // 2) <= one <= max(256, size * 3 // 2) for one in sizes)


def test_talkpilot_links_live_for_an_hour(shop: Any) -> None:
    """A link is good for an hour after its detail was served, and then again when it is served again."""
    desk = shop("talkpilot")
    link = desk.links()[0]
    assert desk.status(link) == 403
    desk.serve(link.id, 10.0)
    assert [desk.status(link, at) for at in (10.0, 3610.0, 3611.0)] == [200, 200, 403]
    assert b"<Code>AccessDenied</Code>" in desk.fetch(link, 9000.0).reply.body
    desk.serve(link.id, 9000.0)
    assert desk.status(link, 9001.0) == 200
    desk.desk.calls(at=20_000.0)
    assert desk.status(link, 20_000.0) == 403


def test_agentvoice_links_live_for_ever_unless_told(shop: Any) -> None:
    """Nothing is documented, so a link is always good; with a life it begins with the list."""
    desk = shop("agentvoice")
    assert desk.status(desk.links()[0], 1e9) == 200
    desk = shop("agentvoice", Media(link_life_s=5.0), cache_mb=1)
    link = desk.links()[0]
    assert desk.status(link) == 403
    for at in (1.0, 20.0):
        desk.desk.calls(at=at, limit=100, order_by="created_at")
        assert [desk.status(link, at + later) for later in (0.0, 5.0, 6.0)] == [200, 200, 403]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_links_dead_on_arrival(shop: Any, provider: str) -> None:
    """One link in four is good only when its row is served again."""
    desk = shop(provider, Media(dead_on_arrival=4))
    links = desk.links()
    for link in links:
        desk.serve(link.id)
    dead = [link for link in links if desk.status(link) == 403]
    assert len(links) // 8 < len(dead) < len(links) // 2
    for link in dead:
        desk.serve(link.id)
        assert desk.status(link) == 200


@given(st.lists(st.integers(0, 5), max_size=30))
def test_links_remember_the_living_only(calls: list[int]) -> None:
    """What is remembered of links does not outlive them."""
    links = Links(2.0, 0)
    for now, call in enumerate(calls):
        links.issue(call, float(now))
        assert len(links._issued) <= 3
        assert links.is_good(call, now + 2.0)
        assert not links.is_good(call, now + 2.5)


@pytest.mark.parametrize("loud", [False, True])
def test_recordings_may_be_gone(shop: Any, loud: bool) -> None:
    """One recording in three is not there; a careless storage says so with a 200."""
    desk = shop("agentvoice", Media(gone=3, errors_are_200=not loud))
    links = desk.links()
    replies = [desk.fetch(link).reply for link in links]
    lost = [reply for reply in replies if b"<Code>NoSuchKey</Code>" in reply.body]
    assert len(links) // 6 < len(lost) < len(links) // 2
    assert {reply.status for reply in lost} == {404 if loud else 200}
    assert {reply.headers["Content-Type"] for reply in lost} == {"application/xml"}
    assert sum(desk.account.recording(link.id) is None for link in links) == len(lost)


@pytest.mark.parametrize("query", ["", "expires=1&signature=0", "expires=soon&{good}", "{good}"])
def test_wrong_signatures_are_refused(shop: Any, query: str) -> None:
    """Without its signature and its time a link opens nothing."""
    desk = shop("agentvoice")
    link = desk.links()[0]
    query = query.format(good=link.query.partition("&")[2])
    reply = desk.fetch(link._replace(query=query)).reply
    assert reply.status == 403
    assert b"SignatureDoesNotMatch" in reply.body


def test_unknown_files_are_refused(shop: Any) -> None:
    """Another kind, another name and other methods are no files."""
    desk = shop("agentvoice")
    link = desk.links()[0]
    assert desk.status(link._replace(name="x.mp3")) == 404
    assert desk.status(link._replace(name=link.name.replace("mp3", "ogg"))) == 404
    assert desk.status(link._replace(name=link.name.replace("mp3", "wav"))) == 404
    assert desk.fetch(link, method="PUT").reply.status == 405
    stats = desk.storage.stats()
    assert stats["strangers"]["requests"] == {"media": 2}
    assert stats["keys"][0]["violations"]["messages"] == ["PUT media"]
    desk.storage.reset()
    assert desk.storage.stats()["strangers"]["requests"] == {}


def test_credentials_have_no_business_here(shop: Any) -> None:
    """A key that is sent to the storage is noted, and so is one in the query."""
    desk = shop("agentvoice")
    link = desk.links()[0]
    desk.fetch(link, Authorization="Bearer sandbox", **{"x-api-key": "sandbox"})
    desk.fetch(link._replace(query=f"{link.query}&key=1"))
    assert desk.storage.stats()["keys"][0]["violations"]["messages"] == [
        "Authorization sent to media",
        "x-api-key sent to media",
        "unknown parameter key",
        "credential in the query (key)",
    ]


@pytest.mark.parametrize(
    ("asked", "status", "first", "end"),
    [
        (None, 200, 0, 100),
        ("bytes=0-", 206, 0, 100),
        ("bytes=10-19", 206, 10, 20),
        ("bytes=90-500", 206, 90, 100),
        ("bytes=-7", 206, 93, 100),
        ("bytes=-700", 206, 0, 100),
        ("bytes=100-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
        ("bytes=5-2", 416, 0, 0),
        ("bytes=-", 200, 0, 100),
        ("bytes=1-2,5-6", 200, 0, 100),
        ("lines=1-2", 200, 0, 100),
    ],
)
def test_ranges(asked: str | None, status: int, first: int, end: int) -> None:
    """A single range of bytes is understood in its three forms; anything else asks for all."""
    piece = piece_of(asked, 100)
    assert (piece.status, piece.first, piece.end) == (status, first, end)


def test_parts_of_a_recording(shop: Any) -> None:
    """A range is answered with that part and its place, beyond the end with 416."""
    desk = shop("agentvoice")
    link = desk.links()[0]
    whole = desk.account.recording(link.id)
    reply = desk.fetch(link, Range="bytes=100-299").reply
    assert (reply.status, reply.body) == (206, whole[100:300])
    assert reply.headers["Content-Range"] == f"bytes 100-299/{len(whole)}"
    beyond = desk.fetch(link, Range=f"bytes={len(whole)}-").reply
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{len(whole)}")


def test_storage_has_limits_and_faults_of_its_own(shop: Any) -> None:
    """What the storage refuses or breaks is counted there; the API knows nothing of it."""
    rules = (
        FaultRule("503", request=1),
        FaultRule("success_false", request=2),
        FaultRule("truncated", request=3),
    )
    media = Media(limits=Limits(rates=("4/s",), retry_after="seconds"), faults=Faults(rules=rules))
    desk = shop("agentvoice", media)
    link = desk.links()[0]
    verdicts = [desk.fetch(link) for _ in range(5)]
    assert [verdict.reply.status for verdict in verdicts] == [503, 200, 200, 200, 429]
    assert [verdict.fault for verdict in verdicts] == ["", "", "truncated", "", ""]
    assert b"InternalError" in verdicts[1].reply.body
    assert verdicts[4].reply.headers["Retry-After"] == "1"
    tally = desk.storage.stats()["keys"][0]
    assert tally["faults"] == {"503": 1, "success_false": 1, "truncated": 1}
    assert tally["refused"] == 1
    assert desk.desk.desk.stats()["keys"] == []


@pytest.mark.parametrize("wrong", [{"size_bytes": -1}, {"link_life_s": -1.0}, {"gone": -1}])
def test_media_refuse_nonsense(wrong: dict[str, Any]) -> None:
    """Mistakes are errors when the config is made."""
    with pytest.raises(ValueError, match="media need"):
        Media(**wrong)
