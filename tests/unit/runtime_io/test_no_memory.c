/* link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup,--wrap=free */
/* Every allocation of our own code fails once, in turn: the call says so, nothing leaks, nothing hangs. */
#include "support.h"

#include "runtime/threads.h"
#include "support/no_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void try_each(casgi_task_fn_t fn)
{
    try_each_allocation(fn, setup_world, teardown_world);
}

/* ---- what is tried ---- */

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int use_threads(void *arg)
{
    int *owned = certain_malloc(sizeof(*owned));
    int rc = casgi_to_thread(nothing, arg);
    if (rc) {
        free(owned);
        return rc;
    }
    rc = casgi_to_thread_owned(nothing, owned, free, NULL);
    if (!rc) {
        free(owned);
    }
    return rc;
}

static void test_no_memory__threads(void **state)
{
    (void)state;
    try_each(use_threads);
}

static char path[64];

static int use_file(void)
{
    casgi_file_t *file;
    char data[16];
    size_t n;
    int rc = casgi_file_open(path, CASGI_OPEN_READ, 0, &file);
    if (rc) {
        return rc;
    }
    rc = casgi_file_read(file, data, sizeof(data), &n);
    int closed = casgi_file_close(file);
    return rc ? rc : closed;
}

static int use_files(void *arg)
{
    casgi_dir_entry_t *entries;
    size_t count;
    casgi_str_t text;
    char *data = casgi_alloc(10000);
    (void)arg;
    if (!data) {
        return CASGI_ENOMEM;
    }
    memset(data, 'x', 10000);
    int rc = casgi_replace_file(path, data, 10000, 0600);
    rc = rc ? rc : use_file();
    rc = rc ? rc : casgi_read_file(path, 10000, &text);
    rc = rc ? rc : casgi_list_directory("/proc/self/fd", &entries, &count);
    int removed = casgi_remove(path);
    return rc ? rc : removed == CASGI_ENOENT ? 0 : removed;
}

static void test_no_memory__files(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof(path), P_tmpdir "/casgi-test-%d.memory", getpid());
    try_each(use_files);
    (void)unlink(path);
}

static int talk(casgi_stream_t *a, casgi_stream_t *b)
{
    casgi_str_t line;
    casgi_address_t address;
    int rc = casgi_stream_write(a, "hello\n", 6);
    rc = rc ? rc : casgi_stream_read_until(b, "\n", 1, 0, &line);
    return rc ? rc : casgi_stream_addresses(a, &address, NULL);
}

static int connect_and_talk(casgi_listener_t *listener, bool tcp)
{
    casgi_address_t address;
    casgi_stream_t *a = NULL, *b = NULL;
    int rc = casgi_listener_address(listener, &address);
    rc = rc ? rc : tcp ? casgi_connect("127.0.0.1", address.port, &a) : casgi_connect_unix(path, &a);
    rc = rc ? rc : casgi_accept(listener, &b);
    rc = rc ? rc : talk(a, b);
    casgi_stream_close(a);
    casgi_stream_close(b);
    return rc;
}

static int use_tcp(void *arg)
{
    casgi_listener_t *listener;
    (void)arg;
    int rc = casgi_listen("127.0.0.1", 0, &listener);
    if (!rc) {
        rc = connect_and_talk(listener, true);
        casgi_listener_close(listener);
    }
    return rc;
}

static int use_unix(void *arg)
{
    casgi_listener_t *listener;
    (void)arg;
    int rc = casgi_listen_unix(path, &listener);
    if (!rc) {
        rc = connect_and_talk(listener, false);
        casgi_listener_close(listener);
    }
    return rc;
}

static int use_name(void *arg)
{
    casgi_address_t *addresses;
    size_t count;
    (void)arg;
    return casgi_resolve("localhost", &addresses, &count);
}

static void test_no_memory__tcp(void **state)
{
    (void)state;
    try_each(use_tcp);
}

static void test_no_memory__unix_sockets(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof(path), P_tmpdir "/casgi-test-%d.sock", getpid());
    try_each(use_unix);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_no_memory__names(void **state)
{
    (void)state;
    try_each(use_name);
}

static int use_process(void *arg)
{
    static const char *const argv[] = { "cat", NULL };
    casgi_spawn_t spawn = { .argv = argv };
    casgi_run_t run;
    (void)arg;
    int rc = casgi_run(&spawn, casgi_str("hello"), 100, &run);
    return rc == CASGI_ENOTSUP ? 0 : rc; /* valgrind does not know pidfd_open */
}

static void test_no_memory__processes(void **state)
{
    (void)state;
    try_each(use_process);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static int use_descriptor(void *arg)
{
    int fds[2];
    (void)arg;
    if (pipe(fds)) {
        return -100;
    }
    int rc = casgi_wait_fd(fds[1], CASGI_FD_WRITABLE, NULL);
    (void)close(fds[0]);
    (void)close(fds[1]);
    return rc;
}

static void test_no_memory__descriptors(void **state)
{
    (void)state;
    try_each(use_descriptor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_memory__threads),     cmocka_unit_test(test_no_memory__files),
        cmocka_unit_test(test_no_memory__tcp),         cmocka_unit_test(test_no_memory__unix_sockets),
        cmocka_unit_test(test_no_memory__names),       cmocka_unit_test(test_no_memory__processes),
        cmocka_unit_test(test_no_memory__descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
