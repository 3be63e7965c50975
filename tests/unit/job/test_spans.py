"""Pages that are kept by their spans, found by time as a list of them would be searched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from harvester.job.ids import hour_of
from harvester.job.spans import SpannedPage, Spans
from harvester.journal import AnswerKey

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)

# From 30 hours before midnight to 30 after it, by minutes, of up to 40 hours; and at the ends of the calendar.
SPANS = st.tuples(st.integers(-1800, 1800), st.integers(0, 2400)).map(
    lambda span: (MIDNIGHT + timedelta(minutes=span[0]), MIDNIGHT + timedelta(minutes=span[0] + span[1]))
)
ENDS = [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), MIDNIGHT]


def are_touching(one: tuple[datetime, datetime], other: tuple[datetime, datetime]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


@given(st.lists(SPANS | st.sampled_from(ENDS).map(lambda at: (at, at)), max_size=40))
def test_spans_agree_with_a_list(spans: list[tuple[datetime, datetime]]) -> None:
    """What touches a page is touched, and an hour has the pages that reach into it, each with its key and number."""
    kept = Spans(7)
    taken: list[tuple[SpannedPage, tuple[datetime, datetime]]] = []
    for index, span in enumerate(spans):
        touched = {
            page: span[0] == other[1] or span[1] == other[0]
            for page, other in taken
            if are_touching(span, other)
        }
        assert dict(kept.touching(*span)) == touched
        if all(touched.values()):
            part = "a part" if index % 3 else ""
            page = SpannedPage(AnswerKey(7, 1 + index % 3, index, 100, part=part), 200 + index % 3)
            kept.add(page, *span)
            taken.append((page, span))
    for moment in {end for _, span in taken for end in span}:
        begin = moment.replace(minute=0, second=0, microsecond=0)
        found = list(kept.of_hour(hour_of(moment)))
        wanted = [page for page, (first, last) in taken if first - begin < HOUR and last >= begin]
        assert set(wanted) <= set(found)
        assert len(found) == len(set(found))
        # A page may begin with the hour's end: what is in it is looked at by its own hour.
        more = [span for page, span in taken if page in found and page not in wanted]
        assert all(first - begin == HOUR for first, _ in more)
