"""Made-up telephone numbers and e-mail addresses, none of which can belong to anyone.

Sources: 555-0100 to 555-0199 (NANPA, fictional use); +44 7700 900000 to 900999 (Ofcom, drama use);
+49 30 23125 000 to 999 (Bundesnetzagentur, drama numbers); example.com and example.org (RFC 2606).
"""

_AREAS = (201, 212, 305, 312, 415, 512, 617, 702)


def _number(place: int) -> tuple[str, str]:
    """Give a number as E.164 and for display."""
    kind, rest = place % 4, place // 4
    if kind == 2:
        return f"+4477009{rest:05}", f"07700 9{rest:05}"
    if kind == 3:
        return f"+493023125{rest % 1000:03}", f"030 23125 {rest % 1000:03}"
    area, line = _AREAS[rest % 8], 100 + (rest // 8 + 50 * kind) % 100
    return f"+1{area}5550{line}", f"({area}) 555-0{line}"


# Customers' numbers, 1,024 of them; some people call from two.
NUMBERS = tuple(_number(place)[0] for place in range(1024))
FORMATTED = tuple(_number(place)[1] for place in range(1024))
# Numbers of the agents themselves, apart from the customers'.
OWN_NUMBERS = tuple(f"+1{area}555019{digit}" for area in (303, 404) for digit in range(8))
OWN_FORMATTED = tuple(f"({own[2:5]}) 555-{own[8:]}" for own in OWN_NUMBERS)
EMAILS = tuple(
    f"{name}{place}@example.{'org' if place % 3 else 'com'}"
    for place, name in enumerate(("anna", "j.meier", "zo\u00eb", "li+calls", "o_neil", "x") * 86)
)[:512]
