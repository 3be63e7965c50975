"""Each quirk does what its name says, and the truth still tells what exists."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from harvester.sandbox import PROVIDERS, Quirks

PAGED = ("talkover", "talkpilot", "bimpe")
TOTALS = {
    "talkover": ("pagination", "total", "last_page"),
    "agentvoice": ("pagination", "total", "total"),
    "talkpilot": ("pagination", "total", "pages"),
    "bimpe": ("meta", "total_count", "page_count"),
}
SIZES = {"talkover": "per_page", "agentvoice": "limit", "talkpilot": "limit", "bimpe": "limit"}


def page(desk: Any, number: int, size: int = 10, **query: Any) -> Any:
    place = {"offset": (number - 1) * size} if desk.provider == "agentvoice" else {"page": number}
    order = {"order_by": "created_at"} if desk.provider == "agentvoice" else {}
    return desk.calls(**{SIZES[desk.provider]: size}, **place, **order, **query)


def truth(desk: Any) -> list[bytes]:
    agent = None if desk.provider in {"talkover", "agentvoice"} else desk.agents[0].id
    return [row.raw for row in desk.account.rows(agent)]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_clamp(counter: Any, cut_rows: Any, provider: str) -> None:
    """Pages are smaller than asked and say so, or keep it to themselves."""
    for hidden in (False, True):
        desk = counter(provider, quirks=Quirks(clamp=7, clamp_hidden=hidden))
        answer = page(desk, 1, 50)
        assert cut_rows(answer) == truth(desk)[:7]
        assert answer.json[TOTALS[provider][0]][SIZES[provider]] == (50 if hidden else 7)
        if provider != "agentvoice":
            assert cut_rows(page(desk, 2, 50)) == truth(desk)[7:14]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_totals(counter: Any, provider: str) -> None:
    """A total can be null, absent or wrong, and what is derived from it likewise."""
    place, total, pages = TOTALS[provider]
    right = page(counter(provider), 1).json[place][total]
    null = page(counter(provider, quirks=Quirks(total="null")), 1).json[place]
    absent = page(counter(provider, quirks=Quirks(total="absent")), 1).json[place]
    off = page(counter(provider, quirks=Quirks(total="off", total_off=-3)), 1).json[place]
    assert null[total] is null[pages] is None
    assert total not in absent
    assert pages not in absent
    assert off[total] == right - 3
    desk = counter(provider, quirks=Quirks(total="wobbles", total_off=2))
    assert {page(desk, 1).json[place][total] - right for _ in range(40)} == {-2, -1, 0, 1, 2}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_more_for_ever(counter: Any, provider: str) -> None:
    """Even an empty page far behind the end says there is more."""
    desk = counter(provider, quirks=Quirks(more_for_ever=True))
    envelope = page(desk, 5000).json
    assert envelope["data"] == []
    told = envelope[TOTALS[provider][0]]
    assert (
        told.get("has_more") or told.get("has_next_page") or told.get("last_page", told.get("pages")) == 5001
    )


@pytest.mark.parametrize("provider", PROVIDERS)
def test_bare_array(counter: Any, provider: str) -> None:
    """The rows come without an envelope."""
    desk = counter(provider, quirks=Quirks(bare_array=True))
    assert page(desk, 1).body == b"[" + b",".join(truth(desk)[:10]) + b"]"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_short_and_empty_pages_heal(counter: Any, cut_rows: Any, provider: str) -> None:
    """The first asking finds half a page or none of it, the next one the whole."""
    desk = counter(provider, quirks=Quirks(short_pages=(2,), empty_pages=(3,), heals_after=1))
    rows = truth(desk)
    assert cut_rows(page(desk, 2)) == rows[10:15]
    assert cut_rows(page(desk, 2)) == rows[10:20]
    assert cut_rows(page(desk, 3)) == []
    assert cut_rows(page(desk, 3)) == rows[20:30]
    assert cut_rows(page(desk, 4)) == rows[30:40]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_repeated_pages_heal(counter: Any, cut_rows: Any, provider: str) -> None:
    """The first asking finds the page before, the next one the page itself."""
    desk = counter(provider, quirks=Quirks(repeated_pages=(1, 3), heals_after=1))
    rows = truth(desk)
    assert cut_rows(page(desk, 1)) == rows[:10]
    assert cut_rows(page(desk, 3)) == rows[10:20]
    assert cut_rows(page(desk, 3)) == rows[20:30]


def test_short_pages_may_never_heal(counter: Any, cut_rows: Any) -> None:
    """Without healing the page stays short."""
    desk = counter("bimpe", quirks=Quirks(short_pages=(1,)))
    assert [len(cut_rows(page(desk, 1))) for _ in range(3)] == [5, 5, 5]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_empty_is_404(counter: Any, provider: str) -> None:
    """An empty list is no list."""
    desk = counter(provider, calls=0, quirks=Quirks(empty_is_404=True))
    assert page(desk, 1).status == 404
    assert page(counter(provider, calls=0), 1).status == 200


@pytest.mark.parametrize("provider", PROVIDERS)
def test_same_page(counter: Any, cut_rows: Any, provider: str) -> None:
    """The offset or page is ignored."""
    desk = counter(provider, quirks=Quirks(same_page=True))
    assert cut_rows(page(desk, 1)) == cut_rows(page(desk, 7)) == truth(desk)[:10]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_result_window(counter: Any, cut_rows: Any, provider: str) -> None:
    """Beyond the window nothing comes, or an error; the total may end there as well."""
    desk = counter(provider, quirks=Quirks(window=25))
    assert cut_rows(page(desk, 3)) == truth(desk)[20:25]
    assert cut_rows(page(desk, 4)) == []
    strict = counter(provider, quirks=Quirks(window=25, window_error=True, window_total=True))
    assert page(strict, 4).status in {400, 422}
    place, total, _ = TOTALS[provider]
    assert page(strict, 1).json[place][total] == 25


@pytest.mark.parametrize("provider", PROVIDERS)
def test_order_is_the_servers(counter: Any, cut_rows: Any, provider: str) -> None:
    """A forced order holds whatever is asked, and a random one is one permutation for all pages."""
    rows = truth(counter(provider))
    oldest = counter(provider, quirks=Quirks(order="oldest"))
    assert cut_rows(page(oldest, 1)) == rows[::-1][:10]
    desk = counter(provider, quirks=Quirks(order="random"))
    seen = [row for number in range(1, 12) for row in cut_rows(page(desk, number, 100))]
    assert seen != rows
    assert sorted(seen) == sorted(rows)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_order_may_change_with_each_request(counter: Any, cut_rows: Any, provider: str) -> None:
    """An unstable order is another one each time, of the same rows."""
    desk = counter(provider, calls=400, agents=4, quirks=Quirks(order="unstable"))
    rows = truth(desk)
    seen = [cut_rows(page(desk, 1)) for _ in range(3)]
    assert len({tuple(found) for found in seen}) == 3
    assert all(set(found) <= set(rows) and len(set(found)) == len(found) for found in seen)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_ties_move(counter: Any, cut_rows: Any, provider: str) -> None:
    """Calls of one instant change places from request to request; the order by time holds all the same."""
    desk = counter(provider, calls=200, agents=1, tied_calls=20, quirks=Quirks(ties_move=True))
    created = "created_on" if provider == "bimpe" else "created_at"
    rows = truth(desk)
    by_id = {json.loads(row)["id"]: row for row in rows}
    seen = set()
    for _ in range(4):
        got = [row for number in (1, 2) for row in cut_rows(page(desk, number, 100))]
        times = [json.loads(row)[created] for row in got]
        assert times == sorted(times, reverse=True)
        assert all(json.loads(row)["id"] in by_id for row in got)
        seen.add(tuple(got))
    assert len(seen) == 4


@pytest.mark.parametrize("provider", PROVIDERS)
def test_some_rows_are_misplaced(counter: Any, cut_rows: Any, provider: str) -> None:
    """One row in ten stands far from its place, always the same; none is lost."""
    desk = counter(provider, agents=1, calls=200, quirks=Quirks(misplaced=10))
    rows = truth(desk)
    seen, again = ([row for number in (1, 2) for row in cut_rows(page(desk, number, 100))] for _ in range(2))
    assert seen == again
    assert sorted(seen) == sorted(rows)
    moved = sum(one != other for one, other in zip(seen, rows, strict=True))
    assert moved >= len(rows) // 10 - 1


def test_parts_do_not_sum_to_the_whole(counter: Any) -> None:
    """Filtered by time a list lacks one call in ten, unfiltered it has all."""
    quirks = Quirks(lossy_times=10)
    for provider, low, high in (
        ("talkover", {"date_from": "2026-01-01"}, {"date_to": "2027-01-01"}),
        ("talkpilot", {"from_": "2026-01-01T00:00:00Z"}, {"to": "2027-01-01T00:00:00Z"}),
        ("agentvoice", {"from_": "2026-01-01T00:00:00Z"}, {"to": "2027-01-01T00:00:00Z"}),
    ):
        whole, lossy = counter(provider), counter(provider, quirks=quirks)
        right = whole.calls(**low, **high).json["pagination"]["total"]
        for times in (low, high, low | high):
            assert lossy.calls(**times).json["pagination"]["total"] == right - right // 10
        assert lossy.calls().json == whole.calls().json


def test_time_filters_do_nothing(counter: Any) -> None:
    """A server may accept a time filter and ignore it."""
    ignore = Quirks(ignore_times=True)
    late = {"from_": "2030-01-01T00:00:00Z"}
    assert (
        counter("talkover", quirks=ignore).calls(date_from="2030-01-01").json["pagination"]["total"] == 1000
    )
    assert counter("talkpilot", quirks=ignore).calls(**late).json["pagination"]["total"] == 248
    assert counter("agentvoice", quirks=ignore).calls(**late).json["pagination"]["total"] == 1000


@pytest.mark.parametrize("provider", PROVIDERS)
def test_duplicates(counter: Any, cut_rows: Any, provider: str) -> None:
    """Every fifth row comes twice, side by side, and counts twice."""
    desk = counter(provider, quirks=Quirks(duplicates=5))
    rows = truth(desk)
    assert cut_rows(page(desk, 1, 12)) == [*rows[:5], rows[4], *rows[5:10], rows[9]]
    place, total, _ = TOTALS[provider]
    assert page(desk, 1).json[place][total] == len(rows) + len(rows) // 5


@pytest.mark.parametrize("provider", PROVIDERS)
def test_damaged_rows(counter: Any, provider: str) -> None:
    """Rows without id, time or object, and of wrong types, come one in so many, as the truth says."""
    quirks = Quirks(
        no_object=20, no_id=20, null_created=20, absent_created=20, wrong_types=20, unknown_words=20
    )
    desk = counter(provider, quirks=quirks)
    created = "created_on" if provider == "bimpe" else "created_at"
    found = {"no_object": 0, "no_id": 0, "null": 0, "absent": 0}
    agent = None if provider in {"talkover", "agentvoice"} else desk.agents[1].id
    for row in [row for other in (agent, desk.agents[3].id) for row in desk.account.rows(other)]:
        read = json.loads(row.raw)
        if not isinstance(read, dict):
            found["no_object"] += 1
            assert (row.call_id, row.created_at) == (None, None)
            continue
        found["no_id"] += "id" not in read
        found["null"] += read.get(created, "") is None
        found["absent"] += created not in read
        assert read.get("id") == row.call_id
        assert bool(read.get(created)) == (row.created_at is not None)
    assert all(found.values()), found
    assert any(b"vor\xc3\xbcbergehend" in row.raw for row in desk.account.rows())


@pytest.mark.parametrize("provider", PROVIDERS)
def test_half_an_emoji_stands_beside_any_other_damage(counter: Any, provider: str) -> None:
    """A row may have every damage at once; the half emoji is in ASCII, in lists and in details."""
    quirks = Quirks(lone_surrogates=1, unknown_words=1, wrong_types=1, null_created=1, extra_fields=True)
    account = counter(provider, calls=40, quirks=quirks).account
    for shape in ("list",) if provider == "talkover" else ("list", "detail"):
        for row in account.rows(shape=shape):
            assert b"half an emoji \\ud83d" in row.raw
            assert provider == "talkover" or b"vor\\u00fcbergehend" in row.raw
            assert json.loads(row.raw)["x_flag"] is None


def test_damage_spares_details(counter: Any) -> None:
    """A detail keeps id and time, but may have wrong types and half an emoji."""
    quirks = Quirks(no_object=1, no_id=1, absent_created=1, wrong_types=1, lone_surrogates=1)
    for provider in ("talkpilot", "bimpe"):
        desk = counter(provider, calls=20, quirks=quirks)
        for row in desk.account.rows(shape="detail"):
            assert json.loads(row.raw)["id"] == row.call_id
            assert b"\\ud83d" in row.raw
        assert not any(isinstance(json.loads(row.raw), dict) for row in desk.account.rows())


@pytest.mark.parametrize("provider", PROVIDERS)
def test_extra_fields_and_line_breaks(counter: Any, cut_rows: Any, provider: str) -> None:
    """Unknown fields come in every row; with `pretty` the rows are still those of the truth."""
    desk = counter(provider, pretty=True, quirks=Quirks(extra_fields=True))
    answer = page(desk, 1)
    assert cut_rows(answer) == truth(desk)[:10]
    assert answer.body.count(b'"x_trace": {\n"n": ') == 10
    plain = counter(provider, quirks=Quirks(extra_fields=True))
    assert [json.loads(row) for row in truth(plain)] == [json.loads(row) for row in truth(desk)]


@pytest.mark.parametrize("style", ["naive", "offset", "micros"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_times_in_other_styles(counter: Any, provider: str, style: Any) -> None:
    """Times without a zone, with an offset or with microseconds are those of the truth."""
    desk = counter(provider, quirks=Quirks(times=style))
    created = "created_on" if provider == "bimpe" else "created_at"
    row = next(desk.account.rows(desk.agents[0].id))
    read = datetime.fromisoformat(json.loads(row.raw)[created])
    assert (read if read.tzinfo else read.replace(tzinfo=UTC)) == row.created_at


def test_odd_ids_are_served_and_found(counter: Any) -> None:
    """An id with slashes and signs is found by its quoted form."""
    desk = counter("bimpe", calls=40, agents=1, quirks=Quirks(odd_ids=4))
    odd = [row for row in desk.account.rows() if "/" in (row.call_id or "")]
    assert len(odd) == 10
    guest = desk.desk.guest({"X-Api-Key": "sandbox"})
    parts = ["api", "v1", "console", "agents", desk.agents[0].id, "calls", odd[0].call_id]
    verdict = desk.desk.judge("GET", parts, "", guest, now=0.0, wall=0.0)
    assert verdict.reply.status == 200


def test_wrapped_detail(counter: Any) -> None:
    """TalkPilot's detail may stand in `data`."""
    desk = counter("talkpilot", quirks=Quirks(wrapped_detail=True))
    row = next(desk.account.rows(desk.agents[0].id, "detail"))
    assert desk.ask(f"v1/agents/{{agent}}/calls/{row.call_id}").json["data"]["id"] == row.call_id


def test_quirks_reach_agents_only_if_told(counter: Any) -> None:
    """Lists of agents are by the book unless `agents_too`."""
    paths = {"talkover": "api/v1/agents", "talkpilot": "v1/agents", "bimpe": "api/v1/console/agents"}
    for provider, path in paths.items():
        assert len(counter(provider, quirks=Quirks(clamp=1)).ask(path).json["data"]) == 4
        assert len(counter(provider, quirks=Quirks(clamp=1, agents_too=True)).ask(path).json["data"]) == 1


def test_cache_answers_the_same(counter: Any) -> None:
    """A cached answer has the same bytes and violations; the oldest go when it is full."""
    desk = counter("talkover", cache_mb=1)
    first = desk.calls(per_page=101)
    assert desk.calls(per_page=101) == first
    assert desk.desk.stats()["keys"][0]["violations"]["count"] == 2
    for number in range(1, 60):
        page(desk, 1, 100, search=f"+{number}")
        page(desk, number % 10 + 1, 100, colour=number)
    assert desk.calls(per_page=101) == first
