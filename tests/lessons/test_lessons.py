#!/usr/bin/env python3
"""The lessons can fail: each, shown the mistake for its correction or the other way round, says no."""

import unittest

import lessons
from spans import Span, Work, in_turn, most_at_once

PAIRS = [("/waits/in-turn", "/waits/together"), ("/plain", "/wait"), ("/sleep/on-the-loop", "/sleep/on-a-thread"),
         ("/compute/on-the-loop", "/compute/on-threads")]
COUNTERPART = dict(PAIRS) | {second: first for first, second in PAIRS}


def span(begin, end, thread=1):
    return Span(begin, end, begin, end, thread)


class Reckoning(unittest.TestCase):
    def test_spans_that_touch_are_in_turn(self):
        self.assertTrue(in_turn([span(2, 3), span(0, 1)]))
        self.assertEqual(most_at_once([span(2, 3), span(0, 1)]), 1)

    def test_spans_that_overlap_are_not_in_turn(self):
        self.assertFalse(in_turn([span(0, 2), span(1, 3)]))

    def test_most_at_once_counts_the_fullest_moment(self):
        self.assertEqual(most_at_once([span(0, 5), span(1, 2), span(3, 6), span(4, 7)]), 3)

    def test_a_ping_that_waited_for_the_end_was_held_up(self):
        work = Work([span(10, 20)], [(0.0, 1.0, span(12, 13)), (0.00001, 1.0, span(21, 22)), (5.0, 6.0, span(23, 24))])
        self.assertEqual([ping[2].begin for ping in work.inside()], [12])
        self.assertEqual([ping[2].begin for ping in work.held_up()], [21])


class Swapped(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = lessons.start()
        cls.addClassCleanup(cls.server.kill)
        for name in ("observed", "at_once"):
            original = getattr(lessons, name)
            cls.addClassCleanup(setattr, lessons, name, original)
            setattr(lessons, name, cls.swapping(original))

    @staticmethod
    def swapping(original):
        def swapped(server, path, *rest):
            return original(server, "/plain" if path == "/never-awaits" else COUNTERPART[path], *rest)
        return swapped

    def test_each_lesson_refuses_its_counterpart(self):
        for lesson in lessons.LESSONS:
            with self.subTest(lesson.done):
                self.assertFalse(lesson.show(self.server).passed)


if __name__ == "__main__":
    unittest.main()
