"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass

CALL_DISK_BYTES = 1_800
"""What a call takes on the disk at most while a contender writes it: unified NDJSON with `raw`, and its journal."""


@dataclass(frozen=True)
class Sizes:
    """Calls, pages, seconds and rounds.

    Attributes:
        calls: Of the account that throughput is judged by.
        peer_calls: Of the account that the peers read.
        large_calls: Of the account that memory is judged by.
        full_calls: Of the account with transcripts.
        latency_calls: Of the accounts behind a delay.
        peer_latency_calls: The same for peers, many of which wait for each page.
        vendor_latency_calls: The same for the vendor's client, whose iterator waits for each page.
        sources: How many at once.
        source_calls: Of each of them.
        agents: How many of one source.
        agent_calls: Of each of them.
        rate_s: How long a limit is used.
        rounds: Of each contender.
        slow_rounds: Of those that take longer than `bench.SLOW_S`, and of limits.
        large_rounds: Of the large account, which takes minutes; its memory hardly differs from run to run.
        start_rounds: Of what is over in a moment.
    """

    calls: int = 1_000_000
    peer_calls: int = 200_000
    large_calls: int = 5_000_000
    full_calls: int = 100_000
    latency_calls: int = 200_000
    peer_latency_calls: int = 40_000
    vendor_latency_calls: int = 100_000
    sources: int = 1_000
    source_calls: int = 200
    agents: int = 10_000
    agent_calls: int = 20
    rate_s: int = 20
    rounds: int = 5
    slow_rounds: int = 3
    large_rounds: int = 1
    start_rounds: int = 20

    def disk_bytes(self, *, is_large: bool) -> int:
        """Return what must be free: all accounts' pages, and the largest output."""
        most = self.large_calls if is_large else self.calls
        light = (
            self.calls * 2 + self.peer_calls + 2 * self.latency_calls + (self.large_calls if is_large else 0)
        )
        return light * 500 + self.full_calls * 4_500 + max(most * CALL_DISK_BYTES, self.full_calls * 15_000)


QUICK = Sizes(
    calls=100_000,
    peer_calls=20_000,
    large_calls=300_000,
    full_calls=10_000,
    latency_calls=20_000,
    peer_latency_calls=4_000,
    vendor_latency_calls=4_000,
    sources=100,
    source_calls=500,
    agents=1_000,
    rate_s=5,
    rounds=2,
    slow_rounds=1,
    start_rounds=5,
)
