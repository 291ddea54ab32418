#!/usr/bin/env python3
"""The benchmark runs to its end and says something of every row; and what it reckons with is right."""

import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import bench  # noqa: E402
import measure  # noqa: E402


class Bench(unittest.TestCase):
    def run_bench(self, *arguments):
        done = subprocess.run([sys.executable, "-B", os.path.join(HERE, "bench.py"), "--no-peers", "--pairs", "1",
                               "--seconds", "0.1", *arguments], capture_output=True, text=True, timeout=240, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("failed", done.stdout)
        return done.stdout

    def test_each_ratio_is_measured(self):
        output = self.run_bench("--only", "plain,pipelined,json,echo,connection")
        self.assertEqual(output.count(" us, limit "), 7, output)

    def test_memory_and_start_are_measured(self):
        output = self.run_bench("--only", "idle,start", "--idle", "100", "--starts", "2")
        self.assertEqual(output.count(" ms"), 2, output)

    def test_saves_are_timed(self):
        self.assertIn("after the compiler", self.run_bench("--only", "save", "--starts", "2"))

    def test_waiting_is_measured(self):
        output = self.run_bench("--waiting", "--waiting-seconds", "0.5", "--waiting-connections", "100",
                                "--waiting-pairs", "1")
        self.assertEqual(output.count("% of the ideal"), 2, output)

    @unittest.skipIf(os.environ.get("CASGI_SANITIZE") == "thread", "200,000 tasks take minutes under ThreadSanitizer")
    def test_primitives_are_measured(self):
        output = self.run_bench("--only", "primitives", "--parked", "1000")
        self.assertEqual(output.count("at most"), 8, output)

    def test_waiting_is_judged_by_the_median_pair(self):
        limit = [bench.Waited(1000, 100, 110, 3, 4)] * 3
        ours = [bench.Waited(rate, 100, 110 + late, 80, 7) for rate, late in ((500, 300), (940, 15), (990, 10))]
        self.assertIn("94 % of the limit, p99 +15 ms", bench.beside_limit(ours, limit))
        self.assertIn("yes", bench.beside_limit(ours, limit))
        self.assertIn("NO", bench.beside_limit(ours[:2] * 2, limit))

    def test_the_document_has_200_bytes(self):
        self.assertEqual(len(bench.document()), 200)

    def test_the_interval_of_fifteen_leaves_out_three_at_each_end(self):
        self.assertEqual(measure.interval(range(15)), (3, 11))

    def test_a_ratio_is_the_median_of_pairs(self):
        self.assertEqual(measure.Ratio([2, 6, 40], [1, 2, 4]).median, 3)


if __name__ == "__main__":
    unittest.main()
