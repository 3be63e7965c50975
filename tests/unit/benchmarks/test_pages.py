"""The pages that are measured with: what the providers' readers make of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.pages import PAGINGS, pages_of, write_pages
from harvester.providers import get_provider


@pytest.mark.parametrize("name", PAGINGS)
def test_pages_hold_every_call_once(tmp_path: Path, name: str) -> None:
    """All pages together have the ids of the account, each once, and the page after the last is empty."""
    folder, provider = tmp_path / name, get_provider(name)
    write_pages(folder, name, 250)
    bodies = [(folder / "100" / f"{PAGINGS[name].name(page)}.json").read_bytes() for page in range(4)]
    listings = [provider.read_listing(body) for body in bodies]
    assert [len(listing.rows) for listing in listings] == [100, 100, 50, 0]
    assert {listing.total for listing in listings} == {250}
    found = [row["id"] for body in bodies for row in json.loads(body)["data"]]
    assert found == (folder / "ids.txt").read_text().split()
    assert len(set(found)) == 250


@pytest.mark.parametrize("name", PAGINGS)
def test_pages_are_read_without_a_problem(tmp_path: Path, name: str) -> None:
    """Every row is one that the provider's code takes whole."""
    folder, provider = tmp_path / name, get_provider(name)
    write_pages(folder, name, 100)
    body = (folder / "100" / f"{PAGINGS[name].name(0)}.json").read_bytes()
    calls, problems = provider.decode(body, provider.read_listing(body), provider.call_type)
    assert (len(calls), problems) == (100, [])


@pytest.mark.parametrize("name", PAGINGS)
def test_first_and_last_call_are_pages_of_one(tmp_path: Path, name: str) -> None:
    """What is asked for to cut a long list is there, in order."""
    folder = tmp_path / name
    write_pages(folder, name, 250)
    ids = (folder / "ids.txt").read_text().split()
    for number in (0, 249):
        (row,) = json.loads((folder / "1" / f"{PAGINGS[name].name(number, 1)}.json").read_bytes())["data"]
        assert row["id"] == ids[number]


@pytest.mark.parametrize("name", PAGINGS)
def test_long_account_begins_as_a_short_one(name: str) -> None:
    """The same seed gives the same calls, however many."""
    rows = PAGINGS[name].rows
    assert list(rows(20, 1)) == list(rows(50, 1))[:20]
    assert list(rows(20, 1)) != list(rows(20, 2))


@pytest.mark.parametrize("name", PAGINGS)
def test_calls_are_as_large_as_is_said(name: str) -> None:
    """What the disk is asked for is about what is written."""
    sizes = [len(row) for _, row in PAGINGS[name].rows(200, 0)]
    assert sum(sizes) / 200 == pytest.approx(PAGINGS[name].call_bytes, rel=0.12)


def test_an_empty_list_has_a_page() -> None:
    """So it is with the providers."""
    assert [pages_of(calls) for calls in (0, 1, 100, 101)] == [1, 1, 1, 2]
