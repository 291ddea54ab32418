#include "support.h"

#include "runtime/fdwatch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Two ends of a Unix socket, and what waits found. */
struct pair {
    int a;
    int b;
    uint32_t events; /* to wait for */
    uint32_t found;
    int rc;
    int times;
};

static void pair_open(struct pair *pair)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    *pair = (struct pair){ .a = fds[0], .b = fds[1], .events = CASGI_FD_READABLE };
}

static void pair_close(struct pair *pair)
{
    (void)close(pair->a);
    (void)close(pair->b);
}

static bool put(int fd)
{
    return write(fd, "x", 1) == 1;
}

static bool take(int fd)
{
    char c;
    return read(fd, &c, 1) == 1;
}

static void fill(int fd)
{
    static const char zeros[4096];
    while (write(fd, zeros, sizeof(zeros)) > 0) {
    }
    assert_int_equal(errno, EAGAIN);
}

static int wait_a(void *arg)
{
    struct pair *pair = arg;
    pair->rc = casgi_wait_fd(pair->a, pair->events, &pair->found);
    return pair->rc;
}

static int wait_then_put(void *arg)
{
    struct pair *pair = arg;
    casgi_task_t *task = NULL;
    int rc = casgi_create_task(wait_a, pair, NULL, &task);
    rc = rc ? rc : casgi_sleep(1);
    rc = rc ? rc : put(pair->b) ? 0 : -100;
    return rc ? rc : join(task);
}

static void test_fd__a_wait_ends_when_bytes_come(void **state)
{
    struct pair pair;
    pair_open(&pair);
    assert_int_equal(run_task(*state, wait_then_put, &pair), 0);
    assert_int_equal(pair.found, CASGI_FD_READABLE);
    pair_close(&pair);
}

static void test_fd__what_is_ready_already_is_found(void **state)
{
    struct pair pair;
    pair_open(&pair);
    assert_true(put(pair.b));
    assert_int_equal(run_task(*state, wait_a, &pair), 0);
    assert_int_equal(pair.found, CASGI_FD_READABLE);
    pair_close(&pair);
}

static void test_fd__room_to_write_is_found(void **state)
{
    struct pair pair;
    pair_open(&pair);
    pair.events = CASGI_FD_READABLE | CASGI_FD_WRITABLE;
    assert_int_equal(run_task(*state, wait_a, &pair), 0);
    assert_int_equal(pair.found, CASGI_FD_WRITABLE);
    pair_close(&pair);
}

static void test_fd__a_hangup_counts_as_ready(void **state)
{
    struct pair pair;
    pair_open(&pair);
    (void)close(pair.b);
    pair.b = -1;
    assert_int_equal(run_task(*state, wait_a, &pair), 0);
    assert_int_equal(pair.found, CASGI_FD_READABLE | CASGI_FD_HANGUP);
    pair_close(&pair);
}

static int wait_many_times(void *arg)
{
    struct pair *pair = arg;
    for (pair->times = 0; pair->times < 100; pair->times++) {
        int rc = wait_then_put(pair);
        if (rc || pair->found != CASGI_FD_READABLE || !take(pair->a)) {
            return rc ? rc : -200;
        }
    }
    return 0;
}

static void test_fd__it_can_be_waited_for_again(void **state)
{
    struct pair pair;
    pair_open(&pair);
    assert_int_equal(run_task(*state, wait_many_times, &pair), 0);
    pair_close(&pair);
}

/* ---- two at once ---- */

static int wait_writable(void *arg)
{
    struct pair *pair = arg;
    uint32_t found = 0;
    int rc = casgi_wait_fd(pair->a, CASGI_FD_WRITABLE, &found);
    return rc ? rc : (int)found;
}

static int read_and_write(void *arg)
{
    struct pair *pair = arg;
    casgi_task_t *reader = NULL, *writer = NULL;
    fill(pair->a);
    int rc = casgi_create_task(wait_a, pair, NULL, &reader);
    rc = rc ? rc : casgi_create_task(wait_writable, pair, NULL, &writer);
    rc = rc ? rc : casgi_sleep(1);
    rc = rc ? rc : put(pair->b) ? join(reader) : -100;
    while (!rc && read(pair->b, &(char[4096]){ 0 }, 4096) > 0) {
    }
    return rc ? rc : join(writer);
}

static void test_fd__one_task_reads_while_another_writes(void **state)
{
    struct pair pair;
    pair_open(&pair);
    assert_int_equal(run_task(*state, read_and_write, &pair), CASGI_FD_WRITABLE);
    pair_close(&pair);
}

static int wait_twice_for_the_same(void *arg)
{
    struct pair *pair = arg;
    casgi_task_t *first;
    int rc = casgi_create_task(wait_a, pair, NULL, &first);
    rc = rc ? rc : casgi_sleep(1);
    int second = casgi_wait_fd(pair->a, CASGI_FD_READABLE, NULL);
    rc = rc ? rc : put(pair->b) ? join(first) : -100;
    return rc ? rc : second;
}

static void test_fd__a_second_wait_for_the_same_is_refused(void **state)
{
    struct pair pair;
    pair_open(&pair);
    assert_int_equal(run_task(*state, wait_twice_for_the_same, &pair), CASGI_EBUSY);
    pair_close(&pair);
}

/* ---- descriptors that are closed, and numbers used again ---- */

/* The number of a now means another socket, whose other end is b. */
static bool replace(struct pair *pair)
{
    int number = pair->a, fds[2];
    (void)close(pair->a);
    (void)close(pair->b);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) || fds[0] > number) {
        return false;
    }
    pair->a = fds[0];
    pair->b = fds[1];
    return fds[0] == number || (dup2(fds[0], number) == number && close(fds[0]) == 0 && (pair->a = number) >= 0);
}

static int wait_after_replacing(void *arg)
{
    struct pair *pair = arg;
    int rc = wait_then_put(pair);
    if (rc || !replace(pair)) {
        return rc ? rc : -200;
    }
    return wait_then_put(pair);
}

static void test_fd__a_number_may_mean_another_descriptor_at_the_next_wait(void **state)
{
    struct pair pair;
    pair_open(&pair);
    assert_int_equal(run_task(*state, wait_after_replacing, &pair), 0);
    assert_int_equal(pair.found, CASGI_FD_READABLE);
    pair_close(&pair);
}

static int cancel_then_replace(void *arg)
{
    struct pair *pair = arg;
    casgi_task_t *task = NULL;
    int copy = dup(pair->a), other = dup(pair->b); /* the first socket lives on behind the wait's back */
    int rc = casgi_create_task(wait_a, pair, NULL, &task);
    rc = rc ? rc : casgi_sleep(1);
    bool replaced = replace(pair);
    rc = rc ? rc : casgi_cancel(task);
    (void)join(task);
    rc = rc ? rc : casgi_create_task(wait_a, pair, NULL, &task);
    rc = rc || !replaced ? -200 : put(other) ? casgi_sleep(5) : -100; /* an event of the old one */
    bool woken = pair->found != 0;
    rc = rc ? rc : put(pair->b) ? join(task) : -100;
    (void)close(copy);
    (void)close(other);
    return woken ? -300 : rc;
}

static void test_fd__an_event_of_a_number_s_former_descriptor_wakes_nobody(void **state)
{
    struct pair pair;
    pair_open(&pair);
    assert_int_equal(run_task(*state, cancel_then_replace, &pair), 0);
    pair_close(&pair);
}

static void test_fd__a_closed_descriptor_is_refused(void **state)
{
    struct pair pair = { .a = 1000, .b = -1, .events = CASGI_FD_READABLE };
    assert_int_equal(run_task(*state, wait_a, &pair), CASGI_ESYSTEM(EBADF));
}

static void test_fd__a_file_is_always_ready(void **state)
{
    struct pair pair = { .a = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), .b = -1, .events = CASGI_FD_READABLE };
    assert_int_equal(run_task(*state, wait_a, &pair), 0);
    assert_int_equal(pair.found, CASGI_FD_READABLE);
    (void)close(pair.a);
}

static void test_fd__no_event_is_invalid(void **state)
{
    struct pair pair;
    pair_open(&pair);
    pair.events = 0;
    assert_int_equal(run_task(*state, wait_a, &pair), CASGI_EINVAL);
    pair_close(&pair);
}

/* ---- cancellation ---- */

static int cancel_wait(void *arg)
{
    struct pair *pair = arg;
    casgi_task_t *task = NULL;
    int rc = casgi_create_task(wait_a, pair, NULL, &task);
    rc = rc ? rc : casgi_sleep(1);
    rc = rc ? rc : casgi_cancel(task);
    return rc ? rc : join(task);
}

static void test_fd__a_wait_can_be_cancelled(void **state)
{
    struct pair pair;
    pair_open(&pair);
    assert_int_equal(run_task(*state, cancel_wait, &pair), CASGI_ECANCELED);
    pair_close(&pair);
}

static int cancel_then_wait(void *arg)
{
    int rc = cancel_wait(arg);
    return rc == CASGI_ECANCELED ? wait_then_put(arg) : -200;
}

static void test_fd__after_a_cancelled_wait_another_can_begin(void **state)
{
    struct pair pair;
    pair_open(&pair);
    assert_int_equal(run_task(*state, cancel_then_wait, &pair), 0);
    pair_close(&pair);
}

static int wait_with_deadline(void *arg)
{
    casgi_deadline_t deadline;
    int rc = casgi_deadline_begin(&deadline, 1);
    rc = rc ? rc : wait_a(arg);
    (void)casgi_deadline_end(&deadline);
    return rc;
}

static void test_fd__a_deadline_ends_a_wait(void **state)
{
    struct pair pair;
    pair_open(&pair);
    assert_int_equal(run_task(*state, wait_with_deadline, &pair), CASGI_ETIMEDOUT);
    pair_close(&pair);
}

static int cancel_the_writer(void *arg)
{
    struct pair *pair = arg;
    casgi_task_t *reader = NULL, *writer = NULL;
    fill(pair->a);
    int rc = casgi_create_task(wait_a, pair, NULL, &reader);
    rc = rc ? rc : casgi_create_task(wait_writable, pair, NULL, &writer);
    rc = rc ? rc : casgi_sleep(1);
    rc = rc ? rc : casgi_cancel(writer);
    int canceled = join(writer);
    rc = rc ? rc : put(pair->b) ? join(reader) : -100;
    return rc ? rc : canceled;
}

static void test_fd__cancelling_one_wait_leaves_the_other(void **state)
{
    struct pair pair;
    pair_open(&pair);
    assert_int_equal(run_task(*state, cancel_the_writer, &pair), CASGI_ECANCELED);
    assert_int_equal(pair.rc, 0);
    pair_close(&pair);
}

static void test_fd__outside_of_a_task_it_is_refused(void **state)
{
    (void)state;
    assert_int_equal(casgi_wait_fd(0, CASGI_FD_READABLE, NULL), CASGI_EWRONGTHREAD);
}

/* ---- descriptors of our own ---- */

struct watched {
    struct pair pair;
    struct fd_watch watch;
    int rc;
};

static int read_watched(struct watched *watched)
{
    char c;
    while (read(watched->pair.a, &c, 1) < 0) {
        fd_watch_clear(&watched->watch, CASGI_FD_READABLE);
        int rc = fd_watch_wait(&watched->watch, CASGI_FD_READABLE, TASK_WAIT_SOCKET);
        if (rc) {
            return rc;
        }
    }
    return 0;
}

static int read_task(void *arg)
{
    struct watched *watched = arg;
    watched->rc = read_watched(watched);
    return watched->rc;
}

static int watch_and_read(void *arg)
{
    struct watched *watched = arg;
    casgi_task_t *task = NULL;
    int rc = fd_watch_open(loop_current(), watched->pair.a, 0, &watched->watch);
    for (int i = 0; !rc && i < 20; i++) {
        rc = casgi_create_task(read_task, watched, NULL, &task);
        rc = rc ? rc : casgi_sleep(1);
        rc = rc ? rc : put(watched->pair.b) ? join(task) : -100;
    }
    fd_watch_close(&watched->watch);
    return rc;
}

static void test_fd_watch__each_new_byte_is_an_event(void **state)
{
    struct watched watched = { .rc = -1 };
    pair_open(&watched.pair);
    assert_int_equal(run_task(*state, watch_and_read, &watched), 0);
    pair_close(&watched.pair);
}

static int close_under_a_reader(void *arg)
{
    struct watched *watched = arg;
    casgi_task_t *task = NULL;
    int rc = fd_watch_open(loop_current(), watched->pair.a, 0, &watched->watch);
    rc = rc ? rc : casgi_create_task(read_task, watched, NULL, &task);
    rc = rc ? rc : casgi_sleep(1);
    fd_watch_close(&watched->watch);
    return rc ? rc : join(task);
}

static void test_fd_watch__closing_it_ends_the_waits(void **state)
{
    struct watched watched = { .rc = 0 };
    pair_open(&watched.pair);
    assert_int_equal(run_task(*state, close_under_a_reader, &watched), CASGI_ECLOSED);
    pair_close(&watched.pair);
}

static int end_then_wait(void *arg)
{
    struct watched *watched = arg;
    int rc = fd_watch_open(loop_current(), watched->pair.a, 0, &watched->watch);
    (void)shutdown(watched->pair.b, SHUT_WR);
    for (int i = 0; !rc && i < 3; i++) { /* there is no second event for an end */
        rc = fd_watch_wait(&watched->watch, CASGI_FD_READABLE, TASK_WAIT_SOCKET);
        fd_watch_clear(&watched->watch, CASGI_FD_READABLE);
    }
    fd_watch_close(&watched->watch);
    return rc;
}

static void test_fd_watch__an_end_stays_readable(void **state)
{
    struct watched watched = { .rc = 0 };
    pair_open(&watched.pair);
    assert_int_equal(run_task(*state, end_then_wait, &watched), 0);
    pair_close(&watched.pair);
}

static int end_then_fill(void *arg)
{
    struct watched *watched = arg;
    casgi_deadline_t deadline;
    int rc = fd_watch_open(loop_current(), watched->pair.a, CASGI_FD_WRITABLE, &watched->watch);
    (void)shutdown(watched->pair.b, SHUT_WR); /* it ends its side, but has not hung up */
    rc = rc ? rc : fd_watch_wait(&watched->watch, CASGI_FD_READABLE, TASK_WAIT_SOCKET);
    fill(watched->pair.a);
    fd_watch_clear(&watched->watch, CASGI_FD_WRITABLE);
    rc = rc ? rc : casgi_deadline_begin(&deadline, 1);
    rc = rc ? rc : fd_watch_wait(&watched->watch, CASGI_FD_WRITABLE, TASK_WAIT_SOCKET);
    (void)casgi_deadline_end(&deadline);
    fd_watch_close(&watched->watch);
    return rc;
}

static void test_fd_watch__an_end_does_not_make_it_writable(void **state)
{
    struct watched watched = { .rc = 0 };
    pair_open(&watched.pair);
    assert_int_equal(run_task(*state, end_then_fill, &watched), CASGI_ETIMEDOUT);
    pair_close(&watched.pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_fd__a_wait_ends_when_bytes_come),
        WORLD_TEST(test_fd__what_is_ready_already_is_found),
        WORLD_TEST(test_fd__room_to_write_is_found),
        WORLD_TEST(test_fd__a_hangup_counts_as_ready),
        WORLD_TEST(test_fd__it_can_be_waited_for_again),
        WORLD_TEST(test_fd__one_task_reads_while_another_writes),
        WORLD_TEST(test_fd__a_second_wait_for_the_same_is_refused),
        WORLD_TEST(test_fd__a_number_may_mean_another_descriptor_at_the_next_wait),
        WORLD_TEST(test_fd__an_event_of_a_number_s_former_descriptor_wakes_nobody),
        WORLD_TEST(test_fd__a_closed_descriptor_is_refused),
        WORLD_TEST(test_fd__a_file_is_always_ready),
        WORLD_TEST(test_fd__no_event_is_invalid),
        WORLD_TEST(test_fd__a_wait_can_be_cancelled),
        WORLD_TEST(test_fd__after_a_cancelled_wait_another_can_begin),
        WORLD_TEST(test_fd__a_deadline_ends_a_wait),
        WORLD_TEST(test_fd__cancelling_one_wait_leaves_the_other),
        WORLD_TEST(test_fd__outside_of_a_task_it_is_refused),
        WORLD_TEST(test_fd_watch__each_new_byte_is_an_event),
        WORLD_TEST(test_fd_watch__closing_it_ends_the_waits),
        WORLD_TEST(test_fd_watch__an_end_stays_readable),
        WORLD_TEST(test_fd_watch__an_end_does_not_make_it_writable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
