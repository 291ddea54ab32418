"""What the endpoints say of their work, and what follows from it. A span has begun and ended at two numbers of one counter
for all threads: two overlap if each has begun before the other ended, whatever the clocks say."""

import json
from collections import namedtuple

Span = namedtuple("Span", "begin end begun ended thread")


def parse(text):
    return [Span(**span) for span in json.loads(text)]


def in_turn(spans):
    """Whether each begins only when the one before it has ended."""
    spans = sorted(spans)
    return all(later.begin > earlier.end for earlier, later in zip(spans, spans[1:]))


def most_at_once(spans):
    changes = sorted([(span.begin, 1) for span in spans] + [(span.end, -1) for span in spans])
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def threads_of(spans):
    return {span.thread for span in spans}


class Work:
    """A request's spans, and the pings of another client meanwhile: (seconds when sent, when answered, its span)."""

    def __init__(self, spans, pings):
        self.spans, self.pings = spans, pings
        self.begin = min(span.begin for span in spans)
        self.end = max(span.end for span in spans)
        self.ended = max(span.ended for span in spans) / 1e6

    def inside(self):
        """Those that the server ran while the work was going on."""
        return [ping for ping in self.pings if self.begin < ping[2].begin < self.end]

    def held_up(self):
        """Those that were sent before the work had ended and ran only after it."""
        return [ping for ping in self.pings if ping[0] < self.ended and ping[2].begin > self.end]

    def longest_ping(self):
        return max(answered - sent for sent, answered, _ in self.pings)

    def ping_threads(self):
        return threads_of(ping[2] for ping in self.pings)
