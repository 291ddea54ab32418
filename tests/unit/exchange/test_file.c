/* zerocopysend and pathsend. */
#include "fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char path[64];
static int file;
static const char *sent_path;
static casgi_http_response_zerocopysend_t range;

static int setup(void **state)
{
    strncpy(path, "/tmp/casgi-file-XXXXXX", sizeof(path) - 1);
    file = mkstemp(path);
    if (file < 0 || write(file, "0123456789", 10) != 10) {
        return -1;
    }
    sent_path = path;
    range = (casgi_http_response_zerocopysend_t){ .file = file };
    lseek(file, 0, SEEK_SET);
    return fixture_setup(state);
}

static int teardown(void **state)
{
    close(file);
    unlink(path);
    return fixture_teardown(state);
}

#define FILE_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

static int send_range(casgi_send_t *send, bool more_body)
{
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_ZEROCOPYSEND);
    event.http_response_zerocopysend = range;
    event.http_response_zerocopysend.more_body = more_body;
    return casgi_send(send, &event);
}

static int send_path(casgi_send_t *send, const char *text)
{
    casgi_event_t event = CASGI_EVENT_INIT(CASGI_HTTP_RESPONSE_PATHSEND);
    event.http_response_pathsend.path = casgi_str(text);
    return casgi_send(send, &event);
}

HANDLER(zerocopy)
{
    (void)scope, (void)receive;
    fixture_start(send, 200, NULL);
    f->rc[0] = send_range(send, false);
    return f->rc[0];
}

static void test_zerocopy__whole_file_has_a_known_length(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, zerocopy);
    assert_int_equal(f->rc[0], 0);
    assert_int_equal(f->driver.content_length, 10);
    assert_int_equal(f->driver.body_size, 10);
    assert_memory_equal(f->driver.body, "0123456789", 10);
    assert_int_equal(f->record.bytes_out, 10);
    assert_true(f->driver.last);
    assert_int_equal(f->driver.ends, 1);
}

static void test_zerocopy__file_is_still_the_applications(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, zerocopy);
    assert_int_equal(fcntl(file, F_GETFD) >= 0, 1);
}

static void test_zerocopy__offset_and_count_are_kept(void **state)
{
    struct fixture *f = *state;
    range.has_offset = range.has_count = true;
    range.offset = 3;
    range.count = 4;
    fixture_get(f, zerocopy);
    assert_int_equal(f->driver.body_size, 4);
    assert_memory_equal(f->driver.body, "3456", 4);
    assert_int_equal(lseek(file, 0, SEEK_CUR), 0);
}

static void test_zerocopy__without_an_offset_it_moves_the_position(void **state)
{
    struct fixture *f = *state;
    lseek(file, 2, SEEK_SET);
    range.has_count = true;
    range.count = 3;
    fixture_get(f, zerocopy);
    assert_memory_equal(f->driver.body, "234", 3);
    assert_int_equal(lseek(file, 0, SEEK_CUR), 5);
}

static void test_zerocopy__is_read_where_the_driver_cannot(void **state)
{
    struct fixture *f = *state;
    f->driver.file_unsupported = true;
    f->driver.room = 4;
    struct exchange *ex = fixture_get(f, zerocopy);
    assert_int_equal(f->driver.body_size, 4);
    f->driver.room = SIZE_MAX;
    exchange_writable(ex);
    fixture_run(f);
    assert_memory_equal(f->driver.body, "0123456789", 10);
    assert_int_equal(f->driver.ends, 1);
}

static void test_zerocopy__waits_for_room(void **state)
{
    struct fixture *f = *state;
    f->driver.room = 4;
    struct exchange *ex = fixture_get(f, zerocopy);
    assert_non_null(ex);
    assert_int_equal(f->driver.body_size, 4);
    f->driver.room = SIZE_MAX;
    exchange_writable(ex);
    fixture_run(f);
    assert_memory_equal(f->driver.body, "0123456789", 10);
    assert_int_equal(f->driver.ends, 1);
}

HANDLER(mixed)
{
    (void)scope, (void)receive;
    fixture_start(send, 200, NULL);
    fixture_body_event(send, "<", true);
    f->rc[0] = send_range(send, true);
    range.has_offset = true;
    range.offset = 8;
    f->rc[1] = send_range(send, true);
    return fixture_body_event(send, ">", false);
}

static void test_zerocopy__mixes_with_body_events(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, mixed);
    assert_int_equal(f->driver.content_length, -1);
    assert_int_equal(f->driver.body_size, 14);
    assert_memory_equal(f->driver.body, "<012345678989>", 14);
    assert_int_equal(f->driver.ends, 1);
}

static void test_zerocopy__to_a_head_sends_the_length_only(void **state)
{
    struct fixture *f = *state;
    struct exchange *ex = fixture_exchange(f, zerocopy, "HEAD", "/");
    assert_int_equal(exchange_begin(ex, true), 0);
    assert_int_equal(f->driver.content_length, 10);
    assert_int_equal(f->driver.body_size, 0);
    assert_int_equal(f->driver.ends, 1);
}

static void test_zerocopy__range_beyond_the_file_is_refused(void **state)
{
    struct fixture *f = *state;
    range.has_count = true;
    range.count = 11;
    fixture_get(f, zerocopy);
    assert_int_equal(f->rc[0], CASGI_EINVAL);
    assert_int_equal(f->driver.status, 500);
}

static void test_zerocopy__what_is_no_file_is_refused(void **state)
{
    struct fixture *f = *state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    range.file = fds[0];
    fixture_get(f, zerocopy);
    assert_int_equal(f->rc[0], CASGI_EINVAL);
    range.file = -1;
    fake_driver_init(&f->driver);
    fixture_get(f, zerocopy);
    assert_int_equal(f->rc[0], CASGI_EINVAL);
    close(fds[0]);
    close(fds[1]);
}

static void test_zerocopy__file_that_shrinks_while_it_is_sent_is_cut(void **state)
{
    struct fixture *f = *state;
    f->driver.room = 4;
    struct exchange *ex = fixture_get(f, zerocopy);
    assert_int_equal(ftruncate(file, 5), 0);
    f->driver.room = SIZE_MAX;
    exchange_writable(ex);
    fixture_run(f);
    assert_int_equal(f->rc[0], CASGI_EEOF);
    assert_int_equal(f->driver.aborts, 1);
    assert_true(f->record.failed);
}

static void test_zerocopy__reset_while_it_is_sent_is_a_disconnect(void **state)
{
    struct fixture *f = *state;
    f->driver.room = 4;
    exchange_gone(fixture_get(f, zerocopy), true);
    fixture_run(f);
    assert_int_equal(f->rc[0], CASGI_EDISCONNECTED);
    assert_int_equal(f->record.status, 499);
}

HANDLER(zerocopy_first)
{
    (void)scope, (void)receive;
    f->rc[0] = send_range(send, false);
    return f->rc[0];
}

static void test_zerocopy__before_the_start_is_refused(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, zerocopy_first);
    assert_int_equal(f->rc[0], CASGI_EPROTO);
    assert_int_equal(f->driver.status, 500);
}

/* ---- pathsend ---- */

HANDLER(pathsend)
{
    (void)scope, (void)receive;
    fixture_start(send, 200, NULL);
    f->rc[0] = send_path(send, sent_path);
    return f->rc[0];
}

static void test_pathsend__sends_the_file_and_its_length(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, pathsend);
    assert_int_equal(f->rc[0], 0);
    assert_int_equal(f->driver.content_length, 10);
    assert_memory_equal(f->driver.body, "0123456789", 10);
    assert_true(f->driver.last);
    assert_int_equal(f->driver.ends, 1);
}

static void test_pathsend__of_an_empty_file_is_an_empty_body(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ftruncate(file, 0), 0);
    fixture_get(f, pathsend);
    assert_int_equal(f->driver.content_length, 0);
    assert_true(f->driver.last);
    assert_int_equal(f->driver.ends, 1);
}

static void test_pathsend__missing_file_is_told_and_can_be_answered(void **state)
{
    struct fixture *f = *state;
    sent_path = "/nonexistent/casgi";
    fixture_get(f, pathsend);
    assert_int_equal(f->rc[0], CASGI_ENOENT);
    assert_int_equal(f->driver.status, 500);
}

static void test_pathsend__relative_path_is_refused(void **state)
{
    struct fixture *f = *state;
    sent_path = "etc/passwd";
    fixture_get(f, pathsend);
    assert_int_equal(f->rc[0], CASGI_EINVAL);
}

static void test_pathsend__directory_is_refused(void **state)
{
    struct fixture *f = *state;
    sent_path = "/tmp";
    fixture_get(f, pathsend);
    assert_int_equal(f->rc[0], CASGI_EINVAL);
}

HANDLER(pathsend_after_body)
{
    (void)scope, (void)receive;
    fixture_start(send, 200, NULL);
    fixture_body_event(send, "x", true);
    f->rc[0] = send_path(send, path);
    return fixture_body_event(send, "", false);
}

static void test_pathsend__is_not_mixed_with_body_events(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, pathsend_after_body);
    assert_int_equal(f->rc[0], CASGI_EPROTO);
    assert_int_equal(f->driver.ends, 1);
}

HANDLER(pathsend_with_length)
{
    (void)scope, (void)receive;
    fixture_start(send, 200, "content-length", "11", NULL);
    f->rc[0] = send_path(send, path);
    return f->rc[0];
}

static void test_pathsend__wrong_length_is_refused(void **state)
{
    struct fixture *f = *state;
    fixture_get(f, pathsend_with_length);
    assert_int_equal(f->rc[0], CASGI_EINVAL);
    assert_int_equal(f->driver.status, 500);
}

static void test_pathsend__leaves_no_descriptor_open(void **state)
{
    struct fixture *f = *state;
    int before = dup(file);
    close(before);
    fixture_get(f, pathsend);
    int after = dup(file);
    close(after);
    assert_int_equal(after, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_zerocopy__whole_file_has_a_known_length),
        FILE_TEST(test_zerocopy__file_is_still_the_applications),
        FILE_TEST(test_zerocopy__offset_and_count_are_kept),
        FILE_TEST(test_zerocopy__without_an_offset_it_moves_the_position),
        FILE_TEST(test_zerocopy__is_read_where_the_driver_cannot),
        FILE_TEST(test_zerocopy__waits_for_room),
        FILE_TEST(test_zerocopy__mixes_with_body_events),
        FILE_TEST(test_zerocopy__to_a_head_sends_the_length_only),
        FILE_TEST(test_zerocopy__range_beyond_the_file_is_refused),
        FILE_TEST(test_zerocopy__what_is_no_file_is_refused),
        FILE_TEST(test_zerocopy__file_that_shrinks_while_it_is_sent_is_cut),
        FILE_TEST(test_zerocopy__reset_while_it_is_sent_is_a_disconnect),
        FILE_TEST(test_zerocopy__before_the_start_is_refused),
        FILE_TEST(test_pathsend__sends_the_file_and_its_length),
        FILE_TEST(test_pathsend__of_an_empty_file_is_an_empty_body),
        FILE_TEST(test_pathsend__missing_file_is_told_and_can_be_answered),
        FILE_TEST(test_pathsend__relative_path_is_refused),
        FILE_TEST(test_pathsend__directory_is_refused),
        FILE_TEST(test_pathsend__is_not_mixed_with_body_events),
        FILE_TEST(test_pathsend__wrong_length_is_refused),
        FILE_TEST(test_pathsend__leaves_no_descriptor_open),
    };
    return cmocka_run_group_tests_name("exchange/file", tests, NULL, NULL);
}
