#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/control.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

static int ends[2];
static struct control_message got;
static char text[CONTROL_TEXT_MAX + 1];

static int set_up(void **state)
{
    (void)state;
    memset(&got, 0, sizeof(got));
    return control_pair(ends);
}

static int tear_down(void **state)
{
    (void)state;
    control_message_close(&got);
    for (int i = 0; i < 2; i++) {
        if (ends[i] >= 0) {
            close(ends[i]);
        }
    }
    return 0;
}

static void test_control__a_message_arrives_whole(void **state)
{
    (void)state;
    assert_int_equal(control_send_text(ends[0], CONTROL_FAILED, 4, "no such file"), 0);
    assert_int_equal(control_recv(ends[1], &got, text), 0);
    assert_int_equal(got.type, CONTROL_FAILED);
    assert_int_equal(got.value, 4);
    assert_string_equal(got.text.ptr, "no such file");
    assert_int_equal(got.text.len, 12);
    assert_int_equal(got.fd_count, 0);
}

static void test_control__messages_keep_their_order_and_borders(void **state)
{
    (void)state;
    assert_int_equal(control_send_text(ends[0], CONTROL_READY, 1, NULL), 0);
    assert_int_equal(control_send_text(ends[0], CONTROL_HANDED_OVER, 2, NULL), 0);
    assert_int_equal(control_recv(ends[1], &got, text), 0);
    assert_int_equal(got.type, CONTROL_READY);
    assert_string_equal(got.text.ptr, "");
    assert_int_equal(control_recv(ends[1], &got, text), 0);
    assert_int_equal(got.type, CONTROL_HANDED_OVER);
}

static void test_control__descriptors_arrive_and_work(void **state)
{
    int pipes[2];
    char byte = 'x';
    (void)state;
    assert_int_equal(pipe(pipes), 0);
    const struct control_message message = { .type = CONTROL_CONNECTIONS,
                                             .fds = { pipes[0], pipes[1] },
                                             .fd_count = 2 };
    assert_int_equal(control_send(ends[0], &message), 0);
    close(pipes[0]);
    close(pipes[1]);
    assert_int_equal(control_recv(ends[1], &got, text), 0);
    assert_int_equal(got.fd_count, 2);
    assert_int_equal(write(got.fds[1], &byte, 1), 1);
    assert_int_equal(read(got.fds[0], &byte, 1), 1);
    assert_true(fcntl(got.fds[0], F_GETFD) & FD_CLOEXEC);
}

/* What an idle connection's client has sent already comes along. */
static void test_control__unread_bytes_travel_with_a_socket(void **state)
{
    int pair[2];
    char bytes[4] = "";
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(write(pair[0], "GET", 3), 3);
    const struct control_message message = { .type = CONTROL_CONNECTIONS, .fds = { pair[1] }, .fd_count = 1 };
    assert_int_equal(control_send(ends[0], &message), 0);
    close(pair[1]);
    assert_int_equal(control_recv(ends[1], &got, text), 0);
    assert_int_equal(read(got.fds[0], bytes, sizeof(bytes)), 3);
    assert_string_equal(bytes, "GET");
    close(pair[0]);
}

static void test_control__as_many_descriptors_as_promised_fit(void **state)
{
    struct control_message message = { .type = CONTROL_CONNECTIONS, .fd_count = CONTROL_FD_MAX };
    (void)state;
    for (size_t i = 0; i < CONTROL_FD_MAX; i++) {
        message.fds[i] = ends[0];
    }
    assert_int_equal(control_send(ends[0], &message), 0);
    assert_int_equal(control_recv(ends[1], &got, text), 0);
    assert_int_equal(got.fd_count, CONTROL_FD_MAX);
}

/* As if clients had taken them all. */
static void test_control__a_message_whose_descriptors_are_lost_is_still_told(void **state)
{
    struct rlimit before, none;
    const struct control_message message = {
        .type = CONTROL_DRAIN, .value = 7, .fds = { ends[0] }, .fd_count = 1, .text = CASGI_STR("words")
    };
    (void)state;
    if (RUNNING_ON_VALGRIND) {
        skip(); /* it keeps this limit to itself, and the kernel hands the descriptors over */
    }
    assert_int_equal(control_send(ends[0], &message), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int rc = control_recv(ends[1], &got, text);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(rc, CASGI_ETOOBIG);
    assert_int_equal(got.type, CONTROL_DRAIN);
    assert_int_equal(got.value, 7);
    assert_string_equal(got.text.ptr, "words");
    assert_int_equal(got.fd_count, 0);
}

static void test_control__long_text_is_cut(void **state)
{
    static char longer[CONTROL_TEXT_MAX + 100];
    (void)state;
    memset(longer, 'a', sizeof(longer) - 1);
    assert_int_equal(control_send_text(ends[0], CONTROL_PLACEHOLDER, 0, longer), 0);
    assert_int_equal(control_recv(ends[1], &got, text), 0);
    assert_int_equal(got.text.len, CONTROL_TEXT_MAX);
    assert_int_equal(strlen(text), CONTROL_TEXT_MAX);
}

static void test_control__nothing_there_is_said(void **state)
{
    (void)state;
    assert_int_equal(control_recv(ends[1], &got, text), CASGI_EAGAIN);
}

static void test_control__a_full_channel_is_said_and_room_follows(void **state)
{
    int rc, sent = 0;
    (void)state;
    while ((rc = control_send_text(ends[0], CONTROL_READY, 0, NULL)) == 0) {
        sent++;
    }
    assert_int_equal(rc, CASGI_EAGAIN);
    for (int i = 0; i < sent; i++) {
        assert_int_equal(control_recv(ends[1], &got, text), 0);
    }
    assert_int_equal(control_send_text(ends[0], CONTROL_READY, 0, NULL), 0);
}

static void test_control__the_other_sides_end_is_said(void **state)
{
    (void)state;
    assert_int_equal(control_send_text(ends[0], CONTROL_READY, 0, NULL), 0);
    close(ends[0]);
    ends[0] = -1;
    assert_int_equal(control_recv(ends[1], &got, text), 0);
    assert_int_equal(control_recv(ends[1], &got, text), CASGI_ECLOSED);
    assert_int_equal(control_send_text(ends[1], CONTROL_READY, 0, NULL), CASGI_ECLOSED);
}

static void test_control__what_is_no_message_is_refused(void **state)
{
    (void)state;
    assert_int_equal(send(ends[0], "abc", 3, 0), 3);
    assert_int_equal(control_recv(ends[1], &got, text), CASGI_EPROTO);
}

static void test_control__the_environment_names_the_workers_end(void **state)
{
    char number[16];
    (void)state;
    snprintf(number, sizeof(number), "%d", ends[1]);
    setenv(CONTROL_VARIABLE, number, 1);
    assert_int_equal(control_from_environment(), ends[1]);
    assert_null(getenv(CONTROL_VARIABLE));
    assert_int_equal(control_from_environment(), -1);
}

static void test_control__a_descriptor_that_is_not_open_is_none(void **state)
{
    (void)state;
    setenv(CONTROL_VARIABLE, "987", 1);
    assert_int_equal(control_from_environment(), -1);
    setenv(CONTROL_VARIABLE, "x", 1);
    assert_int_equal(control_from_environment(), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_control__a_message_arrives_whole),
        TEST(test_control__messages_keep_their_order_and_borders),
        TEST(test_control__descriptors_arrive_and_work),
        TEST(test_control__unread_bytes_travel_with_a_socket),
        TEST(test_control__as_many_descriptors_as_promised_fit),
        TEST(test_control__a_message_whose_descriptors_are_lost_is_still_told),
        TEST(test_control__long_text_is_cut),
        TEST(test_control__nothing_there_is_said),
        TEST(test_control__a_full_channel_is_said_and_room_follows),
        TEST(test_control__the_other_sides_end_is_said),
        TEST(test_control__what_is_no_message_is_refused),
        TEST(test_control__the_environment_names_the_workers_end),
        TEST(test_control__a_descriptor_that_is_not_open_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
