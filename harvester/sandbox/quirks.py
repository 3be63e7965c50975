"""How a server departs from its documents: every switch of lists, rows and details that a careless one needs."""

from typing import Literal

from msgspec import Struct


class Quirks(Struct, frozen=True, forbid_unknown_fields=True):
    """How a server departs from its documents, or reads them another way. The default is by the book.

    Attributes that are an `int` called "one in n" hit one call in n; 0 is never.

    Attributes:
        agents_too: The quirks of paging hold for lists of agents as well.
        order: Order of calls whatever is asked; `random` is one permutation of a list as long as its length
            stays, `unstable` another one for each request.
        ties_move: Calls of one instant change places among themselves from request to request.
        misplaced: One in n stands far from where the order has it, the same one in every request.
        clamp: Largest page the server gives; 0 for the documented one.
        clamp_hidden: The answer repeats the size that was asked, not the one that was given.
        total: `null`, `absent` (with what is derived from it), `off` by `total_off`, or `wobbles` by up to
            `total_off` more or less from request to request.
        more_for_ever: There is always a next page, it says.
        bare_array: The rows without an envelope.
        short_pages: Pages, counted from 1, of which the second half is missing.
        empty_pages: Pages that come empty.
        repeated_pages: Pages that come with the rows of the page before.
        heals_after: Short, empty and repeated pages are whole after being asked so often; 0: never.
        empty_is_404: A page without rows is a 404.
        same_page: The page or offset is ignored: always the first rows.
        window: Rows after so many are not given; 0 for no such end.
        window_error: Asking beyond `window` is an error, else an empty page.
        window_total: The total, too, ends at `window`.
        ignore_times: Filters by time are accepted and do nothing.
        lossy_times: One in n; a list filtered by time lacks it, and does not count it, so that the parts of
            a range do not sum to the whole.
        inclusive_edges: `from` and `to` include their own instant.
        exclusive_date_to: Talkover's `date_to` leaves its own day out.
        date_zone_h: Talkover's days begin so many hours before UTC's.
        meta_for_calls: Talkover sends `meta` with four keys for calls as well.
        agent_denied_status: TalkPilot's status for an agent out of reach: 404 older, 403 newer.
        wrapped_detail: TalkPilot's detail comes as `{"data": …}`.
        lone_surrogates, wrong_types, no_object, no_id, null_created, absent_created: one in n;
            damage of the row in lists, of which only the first two reach a detail (AgentVoice's has all).
        duplicates: One in n; the row is in the list twice, and counted twice.
        unknown_words: One in n has a status no document knows.
        extra_fields: Every row has fields no document knows.
        odd_ids: One in n; an id that is no safe file name.
        times: How times are written: `z`, without a zone (`naive`), `offset` (+02:00), `micros`.
    """

    agents_too: bool = False
    order: Literal["documented", "newest", "oldest", "random", "unstable"] = "documented"
    ties_move: bool = False
    misplaced: int = 0
    clamp: int = 0
    clamp_hidden: bool = False
    total: Literal["right", "null", "absent", "off", "wobbles"] = "right"
    total_off: int = 0
    more_for_ever: bool = False
    bare_array: bool = False
    short_pages: tuple[int, ...] = ()
    empty_pages: tuple[int, ...] = ()
    repeated_pages: tuple[int, ...] = ()
    heals_after: int = 0
    empty_is_404: bool = False
    same_page: bool = False
    window: int = 0
    window_error: bool = False
    window_total: bool = False
    ignore_times: bool = False
    lossy_times: int = 0
    inclusive_edges: bool = False
    exclusive_date_to: bool = False
    date_zone_h: int = 0
    meta_for_calls: bool = False
    agent_denied_status: Literal[404, 403] = 404
    wrapped_detail: bool = False
    lone_surrogates: int = 0
    wrong_types: int = 0
    no_object: int = 0
    no_id: int = 0
    null_created: int = 0
    absent_created: int = 0
    duplicates: int = 0
    unknown_words: int = 0
    extra_fields: bool = False
    odd_ids: int = 0
    times: Literal["z", "naive", "offset", "micros"] = "z"
