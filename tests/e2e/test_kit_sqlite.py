"""The kit's SQLite client inside handlers: the example, on a file and in memory. tests/unit/kit/test_sqlite.c has the rest."""

import json
import os
import sqlite3
import threading
import unittest

import kit
import support
from support import Server, TestCase


@kit.needs("SQLite", "notes")
class Notes(TestCase):
    def ask(self, server, method, path, document=None):
        body = json.dumps(document) if document is not None else None
        status, headers, answer = server.request(method, path, body)
        self.assertEqual(headers["content-type"], "application/json")
        return status, json.loads(answer)

    def test_notes_are_made_read_and_removed(self):
        with Server(support.example("notes")) as server:
            self.assertEqual(self.ask(server, "GET", "/"), (200, []))
            self.assertEqual(self.ask(server, "POST", "/", {"text": "é'; drop"}), (201, {"id": 1, "text": "é'; drop"}))
            self.assertEqual(self.ask(server, "POST", "/", {"text": ""}), (201, {"id": 2, "text": ""}))
            self.assertEqual(self.ask(server, "GET", "/1"), (200, {"id": 1, "text": "é'; drop"}))
            self.assertEqual(self.ask(server, "DELETE", "/1")[0], 200)
            self.assertEqual(self.ask(server, "GET", "/1")[0], 404)
            self.assertEqual(self.ask(server, "GET", "/"), (200, [{"id": 2, "text": ""}]))
            self.assertEqual(server.stop(), 0)

    def test_what_is_no_note_is_refused(self):
        with Server(support.example("notes")) as server:
            for document in ({"text": 1}, {}, [], "x"):
                self.assertEqual(self.ask(server, "POST", "/", document)[0], 422)
            self.assertEqual(self.ask(server, "POST", "/", {"text": "x" * 20_000})[0], 413)
            for body in ("{", "[" * 10_000):
                self.assertEqual(server.request("POST", "/", body)[0], 400)

    def test_they_are_in_the_file(self):
        path = os.path.join(self.folder, "notes.db")
        with Server(support.example("notes"), "--", path) as server:
            self.assertEqual(self.ask(server, "POST", "/", {"text": "kept"})[0], 201)
            self.assertEqual(server.stop(), 0)
        self.assertEqual(sorted(os.listdir(self.folder)), ["notes.db"])  # closed in good order: no journal is left
        with Server(support.example("notes"), "--", path) as server:
            self.assertEqual(self.ask(server, "GET", "/"), (200, [{"id": 1, "text": "kept"}]))

    def test_many_writers_at_once_lose_nothing(self):
        path = os.path.join(self.folder, "notes.db")
        with Server(support.example("notes"), "--", path) as server:
            answers = []
            threads = [threading.Thread(target=lambda i=i: answers.append(self.ask(server, "POST", "/", {"text": str(i)})))
                       for i in range(40)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(support.PATIENCE)
            self.assertEqual([status for status, _ in answers], [201] * 40)
            notes = self.ask(server, "GET", "/")[1]
            self.assertEqual(sorted(int(note["text"]) for note in notes), list(range(40)))

    def test_readers_are_served_while_another_process_holds_the_file(self):
        path = os.path.join(self.folder, "notes.db")
        with Server(support.example("notes"), "--", path) as server:
            self.assertEqual(self.ask(server, "POST", "/", {"text": "first"})[0], 201)
            other = sqlite3.connect(path, isolation_level=None)
            self.addCleanup(other.close)
            other.execute("begin immediate")
            written = []
            writer = threading.Thread(target=lambda: written.append(self.ask(server, "POST", "/", {"text": "second"})))
            writer.start()
            for _ in range(10):  # the writer waits; nobody else does
                self.assertEqual(self.ask(server, "GET", "/1")[0], 200)
            self.assertEqual(written, [])
            other.execute("rollback")
            writer.join(support.PATIENCE)
            self.assertEqual(written, [(201, {"id": 2, "text": "second"})])

    def test_a_file_that_cannot_be_opened_is_a_500_and_said(self):
        with Server(support.example("notes"), "--", self.folder) as server:
            self.assertEqual(self.ask(server, "GET", "/")[0], 500)
            server.wait_log(f"the database: cannot open {self.folder}: unable to open database file")


if __name__ == "__main__":
    unittest.main()
