"""The kit's PostgreSQL client inside handlers, against a real server."""

import json
import os
import signal
import tempfile
import unittest

import kit
import support
from kit import Cluster, Session
from support import Server, wait_until
from wire import Connection, post


@kit.needs("PostgreSQL", "pg")
class Pg(kit.Asking, unittest.TestCase):
    """One cluster and one probe for the class."""
    ARGUMENTS = ()  # of the probe: MAX CACHE CONNECT_TIMEOUT
    APP = ""
    TLS = False

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(cls.TLS)
        cls.addClassCleanup(cls.cluster.remove)
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.module = kit.build(folder.name, "kit_pg")
        cls.server = cls.start()
        cls.addClassCleanup(cls.server.kill)

    @classmethod
    def start(cls, conninfo=None, arguments=None):
        return Server(cls.module + cls.APP, "--", conninfo or cls.cluster.conninfo(), *(arguments or cls.ARGUMENTS))

    @classmethod
    def tearDownClass(cls):
        code = cls.server.stop()
        if code:
            raise AssertionError(f"the server ended with {code}:\n{cls.server.text()}")

    def ask(self, path, *lines, deadline=None, server=None):
        status, _, body = (server or self.server).request("POST", path, "\n".join(lines).encode(),
                                                           {"x-deadline": str(deadline)} if deadline else {})
        self.assertEqual(status, 200, body)
        return body.decode().splitlines()

    def stats(self, server=None):
        return json.loads(self.ask("/stats", server=server)[0])

    def wait_held(self, count, server=None):
        wait_until(lambda: self.stats(server)["held"] == count, f"{count} connections to be held")

    def wait_running(self, what, count):
        wait_until(lambda: self.cluster.running(what) == count, f"{count} sessions to run {what}")


class Queries(Pg):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster.sql("create table t (id int primary key, name text constraint short check (length(name) < 10));"
                        "create table empty (a int)")

    def setUp(self):
        self.cluster.sql("delete from t")

    def test_values_go_there_and_back_as_text(self):
        self.assertEqual(self.ask("/query", "select $1::int + 1, $2::text, $3::text is null, null", "41", "a'b;--é", "\\N"),
                         ["ok 1", "42|a'b;--é|t|\\N"])

    def test_no_rows_and_many_rows(self):
        self.assertEqual(self.ask("/query", "select * from empty"), ["ok 0"])
        self.assertEqual(self.ask("/query", "select generate_series(1, 5000)"), ["ok 5000", *map(str, range(1, 5001))])

    def test_what_was_changed_is_counted(self):
        self.assertEqual(self.ask("/query", "insert into t values (1, 'a'), (2, 'b')"), ["ok 2"])

    def test_a_large_value_goes_there_and_back(self):
        text = "0123456789" * 60_000
        self.assertEqual(self.ask("/query", "select md5($1::text), length($1)", text),
                         ["ok 1", self.cluster.sql(f"select md5(repeat('0123456789', 60000))")[0] + "|600000"])

    def test_numbers_and_truths_are_read_or_refused(self):
        self.assertEqual(self.ask("/types"), ["-42 1.5 1: 0 0 0 -10 -5 -5 -5 -5 -10 -1 0"])

    def test_an_error_has_its_sqlstate_and_message(self):
        self.assertEqual(self.ask("/query", "selec 1"),
                         ['error EFAILED 42601 : syntax error at or near "selec" ()'])
        self.ask("/query", "insert into t values (1, 'a')")
        self.assertEqual(self.ask("/query", "insert into t values (1, 'a')"),
                         ['error EFAILED 23505 t_pkey: duplicate key value violates unique constraint "t_pkey" '
                          "(Key (id)=(1) already exists.)"])
        self.assertRegex(self.ask("/query", "insert into t values (2, 'much too long')")[0], "^error EFAILED 23514 short: ")

    def test_after_an_error_the_connection_is_used_again(self):
        before = self.stats()["connected"]
        for _ in range(5):
            self.assertIn("22012", self.ask("/query", "select 1 / 0")[0])
            self.assertEqual(self.ask("/query", "select 1"), ["ok 1", "1"])
        self.assertLessEqual(self.stats()["connected"], max(before, 1))

    def test_wrong_values_are_refused(self):
        self.assertIn("error EFAILED 22P02", self.ask("/query", "select $1::int", "x")[0])
        self.assertIn("error EFAILED 08P01", self.ask("/query", "select $1::int")[0])  # a protocol violation

    def test_copy_is_refused(self):
        self.assertIn("error ENOTSUP - : copy", self.ask("/query", "copy t to stdout")[0])
        self.assertEqual(self.ask("/query", "select 1"), ["ok 1", "1"])

    def test_a_batch_comes_in_order(self):
        self.assertEqual(self.ask("/batch", "select 1", "", "insert into t values ($1::int, $2)", "7", "x", "",
                                  "select * from t"), ["ok 1", "1", "ok 1", "ok 1", "7|x"])

    def test_a_large_batch_does_not_block_itself(self):
        lines = []
        for i in range(100):
            lines += ["select $1::text || repeat('x', 20000)", str(i) * 500, ""]
        answer = self.ask("/batch", *lines)
        self.assertEqual(answer[0], "ok 1")
        self.assertTrue(answer[1].startswith("0" * 500 + "xxx"))

    def test_a_batch_that_fails_leaves_nothing(self):
        answer = self.ask("/batch", "insert into t values (1, 'a')", "", "insert into t values (2, 'much too long')", "",
                          "insert into t values (3, 'c')")
        self.assertEqual(len(answer), 1)
        self.assertRegex(answer[0], "^error EFAILED 23514 short: ")
        self.assertEqual(self.cluster.sql("select count(*) from t"), ["0"])

    def test_a_transaction_is_committed(self):
        self.ask("/transaction", "insert into t values (1, 'a')", "insert into t values (2, 'b')")
        self.assertEqual(self.cluster.sql("select count(*) from t"), ["2"])

    def test_a_transaction_that_fails_is_rolled_back(self):
        self.assertEqual(self.ask("/transaction", "insert into t values (1, 'a')", "fail"),
                         ["ok 1", "error EFAILED - :  ()"])
        self.assertEqual(self.cluster.sql("select count(*) from t"), ["0"])
        self.assertEqual(self.cluster.sql("select count(*) from pg_stat_activity where state like 'idle in%'"), ["0"])

    def test_an_inner_transaction_is_rolled_back_alone(self):
        self.ask("/transaction", "insert into t values (1, 'a')", "ignore", "(", "insert into t values (2, 'b')", "fail",
                 ")", "insert into t values (3, 'c')", "(", "insert into t values (4, 'd')", ")")
        self.assertEqual(self.cluster.sql("select id from t order by id"), ["1", "3", "4"])

    def test_a_failure_that_was_not_looked_at_is_no_commit(self):
        answer = self.ask("/transaction", "insert into t values (1, 'a')", "ignore", "select 1 / 0")
        self.assertIn("a statement of the transaction had failed", answer[-1])
        self.assertEqual(self.cluster.sql("select count(*) from t"), ["0"])

    def test_a_transaction_left_open_by_its_borrower_is_rolled_back(self):
        held = self.in_background("/hold", "begin", "insert into t values (1, 'a')")
        self.wait_held(1)
        self.assertEqual(self.cluster.sql("select count(*) from pg_stat_activity where state = 'idle in transaction'"), ["1"])
        self.ask("/let")
        self.join(held)
        self.assertEqual(self.cluster.sql("select count(*) from pg_stat_activity where state like 'idle in%'"), ["0"])
        self.assertEqual(self.cluster.sql("select count(*) from t"), ["0"])

    def test_a_script_has_several_statements(self):
        self.assertEqual(self.ask("/script", "insert into t values (1, 'a'); insert into t values (2, 'b')"), [])
        self.assertEqual(self.cluster.sql("select count(*) from t"), ["2"])
        self.assertIn("42601", self.ask("/script", "insert into t values (3, 'a'); nonsense")[0])
        self.assertEqual(self.cluster.sql("select count(*) from t"), ["2"])

    def test_rows_come_one_by_one(self):
        self.assertEqual(self.ask("/rows?0", "select generate_series(1, $1::int)", "2000"), list(map(str, range(1, 2001))))
        self.assertEqual(self.ask("/rows?0", "select * from empty"), [])
        self.assertEqual(self.ask("/rows?0", "select 1 / (3 - i) from generate_series(1, 5) i"),
                         ["0", "1", "error EFAILED 22012 : division by zero ()"])

    def test_who_has_seen_enough_rows_ends_the_query(self):
        before = self.stats()
        self.assertEqual(self.ask("/rows?2", "select generate_series(1, 1000000000)"), ["1", "2", "error EEOF - :  ()"])
        self.assertEqual(self.cluster.running("generate_series(1, 1000000000)"), 0)
        after = self.stats()
        self.assertEqual((after["cancelled"], after["connected"]), (before["cancelled"] + 1, before["connected"]))


class Statements(Pg):
    ARGUMENTS = ("1", "4")

    def test_a_text_is_prepared_once_per_connection(self):
        before = self.stats()["prepared"]
        for i in range(5):
            self.assertEqual(self.ask("/query", "select $1::int * 2", str(i)), ["ok 1", str(i * 2)])
        self.assertEqual(self.stats()["prepared"], before + 1)

    def test_those_used_least_make_room(self):
        for _ in range(2):
            for i in range(6):
                self.assertEqual(self.ask("/query", f"select {i}"), ["ok 1", str(i)])
        self.assertEqual(self.ask("/query", "select count(*) from pg_prepared_statements"), ["ok 1", "4"])

    def test_a_batch_larger_than_the_cache_works(self):
        lines = [line for i in range(9) for line in (f"select {i} + 100", "")]
        for _ in range(2):
            self.assertEqual(self.ask("/batch", *lines), [text for i in range(9) for text in ("ok 1", str(i + 100))])

    def test_a_changed_table_is_prepared_for_anew(self):
        self.cluster.sql("create table changing (a int); insert into changing values (1)")
        self.assertEqual(self.ask("/query", "select * from changing"), ["ok 1", "1"])
        self.cluster.sql("alter table changing add b text default 'new'")
        self.assertEqual(self.ask("/query", "select * from changing"), ["ok 1", "1|new"])

    def test_statements_that_vanished_are_prepared_anew(self):
        self.assertEqual(self.ask("/query", "select 77"), ["ok 1", "77"])
        self.ask("/script", "deallocate all")
        self.assertEqual(self.ask("/query", "select 77"), ["ok 1", "77"])

    def test_what_cannot_be_prepared_is_not_kept(self):
        for _ in range(3):
            self.assertIn("42P01", self.ask("/query", "select * from nowhere")[0])
        self.cluster.sql("create table nowhere (a int)")
        self.assertEqual(self.ask("/query", "select * from nowhere"), ["ok 0"])
        self.cluster.sql("drop table nowhere")


class AtTheSameTime(Pg):
    ARGUMENTS = ("8",)

    def test_queries_of_many_requests_wait_side_by_side(self):
        with Session(self.cluster) as session:
            session.run("select pg_advisory_lock(1)")
            asked = [self.in_background("/query", "select pg_advisory_lock_shared(1), pg_advisory_unlock_shared(1)")
                     for _ in range(8)]
            self.wait_running("advisory_lock_shared", 8)  # all eight at once, in one process with one loop
            self.assertEqual(self.stats()["open"], 8)
            session.run("select pg_advisory_unlock(1)")
            for thread in asked:
                self.assertEqual(self.join(thread)[0], "ok 1")

    def test_sleeping_queries_overlap(self):
        asked = [self.in_background("/query", "select clock_timestamp() - now() < '1 day', pg_sleep(0.2),"
                                    " extract(epoch from now()), extract(epoch from clock_timestamp())") for _ in range(8)]
        rows = [self.join(thread)[1].split("|") for thread in asked]
        ends = sorted((float(row[2]), 1) for row in rows) + sorted((float(row[3]), -1) for row in rows)
        most = now = 0
        for _, change in sorted(ends):  # by the server's own clock: how many were there at once
            now += change
            most = max(most, now)
        self.assertGreater(most, 1)

    def test_others_are_served_meanwhile(self):
        with Session(self.cluster) as session:
            session.run("select pg_advisory_lock(2)")
            waiting = self.in_background("/query", "select pg_advisory_xact_lock(2)")
            self.wait_running("advisory_xact_lock(2)", 1)
            self.assertEqual(self.ask("/query", "select 1"), ["ok 1", "1"])
            session.run("select pg_advisory_unlock(2)")
            self.join(waiting)

    def test_who_finds_no_connection_waits_in_turn(self):
        held = [self.in_background("/hold", "select 1") for _ in range(8)]
        self.wait_held(8)
        late = []
        for i in range(3):
            late.append(self.in_background("/query", f"select {i}, clock_timestamp()"))
            wait_until(lambda i=i: self.stats()["waiting"] == i + 1, "the next to wait")
        self.assertIn("error ETIMEDOUT - : no connection became free (8 in use)",
                      self.ask("/query", "select 9", deadline=50)[0])
        self.ask("/let")
        rows = [self.join(thread)[1].split("|") for thread in late]
        self.assertEqual([row[0] for row in rows], ["0", "1", "2"])
        for thread in held:
            self.join(thread)
        self.assertEqual(self.stats()["open"], 8)


class Turns(Pg):
    ARGUMENTS = ("1",)

    def test_one_connection_goes_round_in_the_order_of_arrival(self):
        self.cluster.sql("create table turns (id serial, who int)")
        held = self.in_background("/hold", "select 1")
        self.wait_held(1)
        late = []
        for i in range(6):
            late.append(self.in_background("/query", f"insert into turns (who) values ({i})"))
            wait_until(lambda i=i: self.stats()["waiting"] == i + 1, "the next to wait")
        self.ask("/let")
        for thread in [held, *late]:
            self.join(thread)
        self.assertEqual(self.cluster.sql("select who from turns order by id"), ["0", "1", "2", "3", "4", "5"])
        self.assertEqual(self.stats()["connected"], 1)

    def test_one_who_gives_up_waiting_loses_no_connection(self):
        held = self.in_background("/hold", "select 1")
        self.wait_held(1)
        for _ in range(3):
            self.assertIn("error ETIMEDOUT", self.ask("/query", "select 1", deadline=20)[0])
        self.ask("/let")
        self.join(held)
        self.assertEqual(self.ask("/query", "select 1"), ["ok 1", "1"])

    def test_when_the_pool_is_freed_who_waits_is_told(self):
        server = self.start()
        with server:
            held = self.in_background("/hold", "select 1", server=server)
            self.wait_held(1, server)
            late = [self.in_background("/query", "select 1", server=server) for _ in range(2)]
            wait_until(lambda: self.stats(server)["waiting"] == 2, "both to wait")
            self.ask("/free", server=server)
            for thread in late:
                self.assertIn("error ECLOSED", self.join(thread)[0])
            self.ask("/let", server=server)
            self.join(held)
            self.assertEqual(server.stop(), 0)


class Cancellation(Pg):
    ARGUMENTS = ("2",)

    def test_a_deadline_ends_the_query_on_the_server(self):
        before = self.stats()
        answer = self.ask("/query", "select pg_sleep(1000)", deadline=300)
        self.assertEqual(answer, ["error ETIMEDOUT - : waiting for the answer: the deadline has passed ()"])
        self.assertEqual(self.cluster.running("pg_sleep"), 0)
        after = self.stats()
        self.assertEqual(after["cancelled"], before["cancelled"] + 1)
        self.assertEqual(after["dropped"], before["dropped"])
        self.assertEqual(self.ask("/query", "select 1"), ["ok 1", "1"])

    def test_a_deadline_in_the_middle_of_a_batch(self):
        answer = self.ask("/batch", "select 1", "", "select pg_sleep(1000)", "", "select 2", deadline=300)
        self.assertIn("error ETIMEDOUT", answer[0])
        self.assertEqual(len(answer), 1)
        self.assertEqual(self.cluster.running("pg_sleep"), 0)
        self.assertEqual(self.ask("/query", "select 1"), ["ok 1", "1"])

    def test_a_cancelled_transaction_is_rolled_back(self):
        self.cluster.sql("create table work (a int)")
        answer = self.ask("/transaction", "insert into work values (1)", "select pg_sleep(1000)", deadline=300)
        self.assertIn("error ETIMEDOUT", answer[-1])
        self.assertEqual(self.cluster.sql("select count(*) from pg_stat_activity where state like 'idle in%'"), ["0"])
        self.assertEqual(self.cluster.sql("select count(*) from work"), ["0"])

    def test_a_script_is_cancelled_too(self):
        self.assertIn("error ETIMEDOUT", self.ask("/script", "select 1; select pg_sleep(1000)", deadline=300)[0])
        self.assertEqual(self.cluster.running("pg_sleep"), 0)
        self.assertEqual(self.ask("/query", "select 1"), ["ok 1", "1"])

    def test_waiting_for_a_lock_can_be_cancelled(self):
        self.cluster.sql("create table locked (a int)")
        with Session(self.cluster) as session:
            session.run("begin; lock table locked")
            self.assertIn("error ETIMEDOUT", self.ask("/query", "select * from locked", deadline=300)[0])
            self.assertEqual(self.cluster.running("locked"), 0)

    def test_a_hundred_in_a_row_leave_two_connections(self):
        for _ in range(100):
            self.assertIn("error ETIMEDOUT", self.ask("/query", "select pg_sleep(1000)", deadline=5)[0])
        self.assertEqual(self.ask("/query", "select 1"), ["ok 1", "1"])
        self.assertLessEqual(self.stats()["open"], 2)
        self.assertEqual(self.cluster.running("pg_sleep"), 0)


class ClientLeaves(Pg):
    APP = ":cancelled"

    def test_its_query_is_cancelled_on_the_server(self):
        with Connection(self.server) as connection:
            connection.send(post("/query", b"select pg_sleep(1000)"))
            self.wait_running("pg_sleep", 1)
        self.wait_running("pg_sleep", 0)
        wait_until(lambda: self.stats()["cancelled"] == 1, "the count")
        self.assertEqual(self.ask("/query", "select 1"), ["ok 1", "1"])

    def test_a_server_that_stops_cancels_what_runs(self):
        with Server("--timeout-graceful-shutdown", "1", self.module, "--", self.cluster.conninfo()) as server:
            connection = Connection(server)
            self.addCleanup(connection.close)
            connection.send(post("/query", b"select pg_sleep(1001)"))
            self.wait_running("pg_sleep(1001)", 1)
            self.assertEqual(server.stop(), 0)
        self.wait_running("pg_sleep(1001)", 0)


class DeadServer(Pg):
    ARGUMENTS = ("3",)

    def end_sessions(self):
        """A session that is not listed any more has said its last word to its client."""
        probes = "from pg_stat_activity where application_name = 'probe'"
        self.cluster.sql("select pg_terminate_backend(pid) " + probes)
        wait_until(lambda: self.cluster.sql("select count(*) " + probes) == ["0"], "the sessions to end")

    def test_a_connection_closed_while_idle_is_replaced(self):
        self.assertEqual(self.ask("/query", "select 1"), ["ok 1", "1"])
        before = self.stats()
        self.end_sessions()
        self.assertEqual(self.ask("/query", "select 2"), ["ok 1", "2"])
        after = self.stats()
        self.assertEqual(after["connected"], before["connected"] + 1)

    def test_a_connection_lost_in_a_query_is_an_error_and_the_next_works(self):
        lost = self.in_background("/query", "select pg_sleep(1000)")
        self.wait_running("pg_sleep", 1)
        self.cluster.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'probe'")
        self.assertEqual(self.join(lost), ["error EIO 57P01 : terminating connection due to administrator command ()"])
        self.assertEqual(self.ask("/query", "select 1"), ["ok 1", "1"])

    def test_a_thrown_away_connection_is_not_used_again(self):
        before = self.stats()["connected"]
        self.ask("/query", "select 1")
        self.ask("/discard")
        self.ask("/query", "select 1")
        self.assertGreater(self.stats()["connected"], before)

    def test_a_server_that_went_away_and_came_back(self):
        for how in (signal.SIGINT, signal.SIGQUIT):
            lost = self.in_background("/query", "select pg_sleep(1000)")
            self.wait_running("pg_sleep", 1)
            self.cluster.stop(how)
            self.assertRegex(self.join(lost)[0], "^error EIO ")
            answer = self.ask("/query", "select 1")
            self.assertRegex(answer[0], "^error EIO - : connection to server .* failed: No such file or directory")
            self.cluster.start()
            self.assertEqual(self.ask("/query", "select 1"), ["ok 1", "1"])

    def test_a_transaction_whose_server_dies_says_so(self):
        answer = self.ask("/transaction", "select pg_terminate_backend(pg_backend_pid())", "select 1")
        self.assertRegex(answer[-1], "^error EIO ")
        self.assertEqual(self.ask("/query", "select 1"), ["ok 1", "1"])


class Notifications(Pg):
    ARGUMENTS = ("3",)

    def test_who_waits_hears_what_others_tell(self):
        heard = [self.in_background("/listen?2", "listen news") for _ in range(2)]
        self.wait_held(2)
        self.assertEqual(self.ask("/query", "select 1"), ["ok 1", "1"])
        self.cluster.sql("notify news, 'one'; notify other, 'not heard'")
        self.cluster.sql("notify news")
        for thread in heard:
            self.assertEqual(self.join(thread), ["news=one", "news="])

    def test_a_deadline_ends_the_wait(self):
        answer = self.ask("/listen?1", "listen news", deadline=300)
        self.assertEqual(answer, ["error ETIMEDOUT - : waiting for a notification: the deadline has passed ()"])
        self.assertEqual(self.stats()["idle"], self.stats()["open"])

    def test_many_at_once_all_come(self):
        heard = self.in_background("/listen?200", "listen news")
        self.wait_held(1)
        self.cluster.sql("select pg_notify('news', repeat('x', 1000) || i) from generate_series(1, 200) i")
        self.assertEqual(self.join(heard), [f"news={'x' * 1000}{i}" for i in range(1, 201)])

    def test_a_session_that_ends_is_an_error(self):
        heard = self.in_background("/listen?1", "listen news")
        self.wait_held(1)
        self.cluster.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'probe'")
        self.assertRegex(self.join(heard)[0], "^error EIO - : ")
        self.assertEqual(self.ask("/query", "select 1"), ["ok 1", "1"])


class Connecting(Pg):
    def answer(self, conninfo, *arguments):
        with self.start(conninfo, arguments) as server:
            answer = self.ask("/query", "select 1", server=server)[0]
            self.assertEqual(server.stop(), 0)
        return answer

    def test_nobody_listens(self):
        self.assertRegex(self.answer(f"host=127.0.0.1 port={kit.free_port()}", "2"),
                         "^error EIO - : connection to server .* failed: Connection refused")

    def test_no_such_database(self):
        self.assertIn('database "nowhere" does not exist', self.answer(self.cluster.conninfo(dbname="nowhere"), "2"))

    def test_a_server_that_says_nothing_is_given_up(self):
        import socket
        with socket.create_server(("127.0.0.1", 0)) as silent:
            answer = self.answer(f"host=127.0.0.1 port={silent.getsockname()[1]} sslmode=disable", "2", "4", "300")
        self.assertEqual(answer, "error ETIMEDOUT - : no connection within 300 ms ()")

    def test_a_name_without_address(self):
        self.assertRegex(self.answer("host=no-such-host.invalid", "2"), "^error EIO - : could not translate host name")

    def test_a_conninfo_that_cannot_be_read_is_a_failed_start(self):
        code, text = support.run(self.module, "--port", "0", "--", "host=a nonsense=b")
        self.assertEqual(code, 4)
        self.assertIn('invalid connection option "nonsense"', text)


class Tls(Pg):
    TLS = True

    @classmethod
    def start(cls, conninfo=None, arguments=None):
        cls.cluster.sql("alter role casgi password 'secret'")
        return super().start(conninfo or cls.cluster.conninfo(host="127.0.0.1", password="secret", sslmode="require"),
                             arguments)

    def test_a_password_over_tls(self):
        self.assertEqual(self.ask("/query", "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()"),
                         ["ok 1", "t|TLSv1.3"])

    def test_large_answers_over_tls_come_whole(self):
        for _ in range(5):
            answer = self.ask("/query", "select repeat(i::text, 3000) from generate_series(10, 29) i")
            self.assertEqual(answer, ["ok 20", *(str(i) * 3000 for i in range(10, 30))])

    def test_a_cancelled_query_over_tls(self):
        self.assertIn("error ETIMEDOUT", self.ask("/query", "select pg_sleep(1000)", deadline=300)[0])
        self.assertEqual(self.cluster.running("pg_sleep"), 0)

    def test_notifications_over_tls(self):
        heard = self.in_background("/listen?100", "listen news")
        self.wait_held(1)
        self.cluster.sql("select pg_notify('news', repeat('x', 1000) || i) from generate_series(1, 100) i")
        self.assertEqual(self.join(heard), [f"news={'x' * 1000}{i}" for i in range(1, 101)])

    def test_a_wrong_password_is_said(self):
        conninfo = self.cluster.conninfo(host="127.0.0.1", password="wrong", sslmode="require")
        with self.start(conninfo) as server:
            self.assertIn("password authentication failed", self.ask("/query", "select 1", server=server)[0])


@kit.needs("PostgreSQL", "pg")
class Example(unittest.TestCase):
    def test_the_guest_book(self):
        cluster = Cluster()
        self.addCleanup(cluster.remove)
        with Server(support.example("pg"), "--", cluster.conninfo()) as server:
            self.assertEqual(server.request("POST", "/?name=ann", b"Hello")[0], 201)
            self.assertEqual(server.request("POST", "/?name=bob", b"Good day")[0], 201)
            self.assertEqual(server.request("POST", "/", b"?")[0], 400)
            self.assertEqual(server.get("/")[2], b"bob: Good day\nann: Hello\n")
            self.assertEqual(server.get("/statistics")[2], b"2 entries by 2 guests\n")
            cluster.stop()
            self.assertEqual(server.get("/")[0], 503)
            self.assertEqual(server.stop(), 0)
        code, text = support.run(support.example("pg"), "--port", "0", "--", cluster.conninfo())
        self.assertEqual(code, 3)
        self.assertIn("failed: No such file or directory", text)


if __name__ == "__main__":
    unittest.main()
