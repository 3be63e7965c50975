"""Names of files that are named after ids."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.sinks.names import file_stem

ODD = ["../../etc/passwd", "..", ".", "", "/", "a/b", "a\\b", "a\0b", "a\nb", ".hidden", "a.", "a ", " a", "-rf", "~x",
       "con", "NUL", "com1.tar", "lpt9", "prn", "aux.x", "x" * 300, "é", "e\u0301", "İ", "ﬀ", "\udcff", "日本", "A",
       "a:b", "CONIN$", "a*?<>|\"b", "\u202egpj.exe"]  # fmt: skip


@pytest.mark.parametrize(
    "call_id",
    ["0b7f8d2e-1a2b-4c3d-9e8f-001122334455", "call_01hzx", "1", "a.b", "c-", "conn", "com10", "x" * 100],
)
def test_ordinary_id_is_its_own_name(call_id: str) -> None:
    """What any file system takes as it is stays as it is."""
    assert file_stem(call_id) == call_id


@pytest.mark.parametrize("call_id", ODD)
def test_odd_id_becomes_one_safe_name(call_id: str) -> None:
    """Whatever an id holds, its name is one short plain segment with a hash that belongs to the id alone."""
    stem = file_stem(call_id)
    spelt, mark, digest = stem.rpartition("~")
    assert (mark, len(digest)) == ("~", 16)
    assert len(stem) <= 120
    assert set(stem.lower()) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-~")
    assert spelt[0] not in ".-~"
    assert spelt.partition(".")[0].lower() not in {"con", "nul", "prn", "aux", "com1", "lpt9"}
    assert stem == file_stem(call_id)


def test_names_of_odd_ids_differ() -> None:
    """Ids that look alike have names that do not, also on a file system that knows no capitals."""
    assert len({file_stem(one).lower() for one in ODD}) == len(ODD)


@given(st.lists(st.text(st.characters(codec=None), max_size=300), unique=True, max_size=20))
def test_no_two_ids_share_a_name(ids: list[str]) -> None:
    """Neither capitals nor composed accents make two names one, and none leads out of its folder."""
    folded = {unicodedata.normalize("NFC", file_stem(one)).casefold() for one in ids}
    assert len(folded) == len(ids)
    assert all(not {"/", "\\", "\0"} & set(name) and name.strip(".") for name in folded)
    assert all(len(f"{name}.audio".encode()) < 200 for name in folded)
