#include "support.h"

#include "runtime/file.h"
#include "runtime/threads.h"

#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder for one test. */
static char folder[64];

static int setup_folder(void **state)
{
    (void)snprintf(folder, sizeof(folder), P_tmpdir "/casgi-test-XXXXXX");
    return mkdtemp(folder) ? setup_world(state) : -1;
}

static int teardown_folder(void **state)
{
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    int rc = system(command);
    return teardown_world(state) || rc ? -1 : 0;
}

static const char *path_of(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static void put_file(const char *name, const char *text)
{
    int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(fd);
}

static bool file_is(const char *name, const char *text)
{
    char found[256];
    int fd = open(path_of(name), O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, found, sizeof(found));
    if (fd >= 0) {
        (void)close(fd);
    }
    return n == (ssize_t)strlen(text) && memcmp(found, text, (size_t)n) == 0;
}

/* What a task did, for the test to look at. */
struct seen {
    char data[256];
    size_t size;
    int rc;
    casgi_stat_t stat;
};

static int open_for(const char *name, uint32_t flags, casgi_file_t **out_file)
{
    return casgi_file_open(path_of(name), flags, 0640, out_file);
}

/* ---- reading ---- */

static int read_in_two(void *arg)
{
    struct seen *seen = arg;
    casgi_file_t *file;
    size_t n = 0;
    int rc = open_for("a", CASGI_OPEN_READ, &file);
    if (rc) {
        return rc;
    }
    rc = casgi_file_read(file, seen->data, 4, &n);
    seen->size = n;
    rc = rc ? rc : casgi_file_read(file, seen->data + n, sizeof(seen->data) - n, &n);
    seen->size += n;
    seen->rc = rc ? rc : casgi_file_read(file, seen->data, 1, &n);
    int closed = casgi_file_close(file);
    return rc ? rc : closed;
}

static void test_file__reads_follow_each_other_to_the_end(void **state)
{
    struct seen seen = { .rc = 0 };
    put_file("a", "hello, world");
    assert_int_equal(run_task(*state, read_in_two, &seen), 0);
    assert_int_equal(seen.size, 12);
    assert_memory_equal(seen.data, "hello, world", 12);
    assert_int_equal(seen.rc, CASGI_EEOF);
}

static int read_at(void *arg)
{
    struct seen *seen = arg;
    casgi_file_t *file;
    int rc = open_for("a", CASGI_OPEN_READ, &file);
    if (rc) {
        return rc;
    }
    rc = casgi_file_read_at(file, 7, seen->data, 5, &seen->size);
    rc = rc ? rc : casgi_file_read(file, seen->data + 5, 5, &seen->size); /* the position has not moved */
    int closed = casgi_file_close(file);
    return rc ? rc : closed;
}

static void test_file__reading_at_an_offset_leaves_the_position(void **state)
{
    struct seen seen = { .rc = 0 };
    put_file("a", "hello, world");
    assert_int_equal(run_task(*state, read_at, &seen), 0);
    assert_memory_equal(seen.data, "worldhello", 10);
}

/* Larger than what is read on the loop's thread. */
static int write_and_read_much(void *arg)
{
    size_t size = 1024 * 1024, n = 0;
    char *data = casgi_alloc(size), *back = casgi_alloc(size + 1);
    casgi_file_t *file;
    (void)arg;
    for (size_t i = 0; i < size; i++) {
        data[i] = (char)(i * 31 % 251);
    }
    int rc = open_for("big", CASGI_OPEN_READ | CASGI_OPEN_WRITE | CASGI_OPEN_CREATE, &file);
    if (rc) {
        return rc;
    }
    rc = casgi_file_write(file, data, size);
    rc = rc ? rc : casgi_file_read_at(file, 0, back, size + 1, &n);
    int closed = casgi_file_close(file);
    rc = rc ? rc : closed;
    return rc ? rc : n == size && !memcmp(data, back, size) ? 0 : -100;
}

static void test_file__a_large_file_is_read_whole(void **state)
{
    assert_int_equal(run_task(*state, write_and_read_much, NULL), 0);
}

/* ---- opening ---- */

static int open_only(void *arg)
{
    casgi_file_t *file;
    const uint32_t *flags = arg;
    int rc = open_for("a", *flags, &file);
    return rc ? rc : casgi_file_close(file);
}

static void test_file__opening_what_is_not_there_fails(void **state)
{
    uint32_t flags = CASGI_OPEN_READ;
    assert_int_equal(run_task(*state, open_only, &flags), CASGI_ENOENT);
}

static void test_file__exclusive_creation_refuses_what_is_there(void **state)
{
    uint32_t flags = CASGI_OPEN_WRITE | CASGI_OPEN_CREATE | CASGI_OPEN_EXCLUSIVE;
    put_file("a", "x");
    assert_int_equal(run_task(*state, open_only, &flags), CASGI_EEXIST);
}

static void test_file__flags_that_do_not_go_together_are_refused(void **state)
{
    uint32_t nothing = 0, truncate_read = CASGI_OPEN_READ | CASGI_OPEN_TRUNCATE;
    uint32_t exclusive = CASGI_OPEN_WRITE | CASGI_OPEN_EXCLUSIVE;
    put_file("a", "x");
    assert_int_equal(run_task(*state, open_only, &nothing), CASGI_EINVAL);
    assert_int_equal(run_task(*state, open_only, &truncate_read), CASGI_EINVAL);
    assert_int_equal(run_task(*state, open_only, &exclusive), CASGI_EINVAL);
    assert_true(file_is("a", "x"));
}

static void test_file__a_link_is_not_followed_if_so_wished(void **state)
{
    uint32_t flags = CASGI_OPEN_READ | CASGI_OPEN_NOFOLLOW;
    put_file("b", "x");
    assert_int_equal(symlink("b", path_of("a")), 0);
    assert_int_equal(run_task(*state, open_only, &flags), CASGI_ESYSTEM(ELOOP));
}

static void test_file__a_pipe_is_refused_and_not_waited_for(void **state)
{
    uint32_t flags = CASGI_OPEN_READ;
    assert_int_equal(mkfifo(path_of("a"), 0600), 0);
    assert_int_equal(run_task(*state, open_only, &flags), CASGI_ENOTSUP);
}

static void test_file__a_new_file_has_the_mode_given(void **state)
{
    uint32_t flags = CASGI_OPEN_WRITE | CASGI_OPEN_CREATE;
    struct stat stat;
    mode_t before = umask(0);
    assert_int_equal(run_task(*state, open_only, &flags), 0);
    (void)umask(before);
    assert_int_equal(lstat(path_of("a"), &stat), 0);
    assert_int_equal(stat.st_mode & 07777, 0640);
}

/* ---- writing ---- */

static int append_twice(void *arg)
{
    casgi_file_t *file;
    (void)arg;
    int rc = open_for("a", CASGI_OPEN_APPEND, &file);
    if (rc) {
        return rc;
    }
    rc = casgi_file_write(file, "two,", 4);
    rc = rc ? rc : casgi_file_write(file, "three", 5);
    rc = rc ? rc : casgi_file_sync(file);
    int closed = casgi_file_close(file);
    return rc ? rc : closed;
}

static void test_file__append_writes_to_the_end(void **state)
{
    put_file("a", "one,");
    assert_int_equal(run_task(*state, append_twice, NULL), 0);
    assert_true(file_is("a", "one,two,three"));
}

static int write_pieces(void *arg)
{
    casgi_file_t *file;
    (void)arg;
    int rc = open_for("a", CASGI_OPEN_WRITE | CASGI_OPEN_CREATE | CASGI_OPEN_TRUNCATE, &file);
    if (rc) {
        return rc;
    }
    rc = casgi_file_write(file, "hello", 5);
    rc = rc ? rc : casgi_file_write(file, " there", 6);
    rc = rc ? rc : casgi_file_write_at(file, 0, "J", 1);
    rc = rc ? rc : casgi_file_truncate(file, 8);
    int closed = casgi_file_close(file);
    return rc ? rc : closed;
}

static void test_file__writes_follow_each_other(void **state)
{
    put_file("a", "something longer than that");
    assert_int_equal(run_task(*state, write_pieces, NULL), 0);
    assert_true(file_is("a", "Jello th"));
}

struct writer {
    casgi_file_t *file;
    const char *text;
};

static int write_one(void *arg)
{
    struct writer *writer = arg;
    return casgi_file_write(writer->file, writer->text, strlen(writer->text));
}

static int write_from_many_tasks(void *arg)
{
    static const char *const texts[] = { "a", "bb", "ccc", "dddd", "eeeee" };
    struct writer writers[5];
    casgi_task_t *tasks[5];
    casgi_file_t *file;
    (void)arg;
    int rc = open_for("a", CASGI_OPEN_WRITE | CASGI_OPEN_CREATE, &file);
    for (int i = 0; !rc && i < 5; i++) {
        writers[i] = (struct writer){ file, texts[i] };
        rc = casgi_create_task(write_one, &writers[i], NULL, &tasks[i]);
    }
    for (int i = 0; !rc && i < 5; i++) {
        rc = join(tasks[i]);
    }
    int closed = casgi_file_close(file);
    return rc ? rc : closed;
}

static void test_file__writes_of_several_tasks_take_turns_in_order(void **state)
{
    assert_int_equal(run_task(*state, write_from_many_tasks, NULL), 0);
    assert_true(file_is("a", "abbcccddddeeeee"));
}

/* ---- stat ---- */

static int stat_open(void *arg)
{
    struct seen *seen = arg;
    casgi_file_t *file;
    int rc = open_for("a", CASGI_OPEN_READ, &file);
    if (rc) {
        return rc;
    }
    rc = casgi_file_stat(file, &seen->stat);
    int closed = casgi_file_close(file);
    return rc ? rc : closed;
}

static int stat_path(void *arg)
{
    struct seen *seen = arg;
    return casgi_stat(path_of("a"), false, &seen->stat);
}

static void test_file__stat_tells_size_type_and_time(void **state)
{
    struct seen seen = { .rc = 0 };
    struct stat stat;
    put_file("a", "12345");
    assert_int_equal(run_task(*state, stat_open, &seen), 0);
    assert_int_equal(lstat(path_of("a"), &stat), 0);
    assert_int_equal(seen.stat.size, 5);
    assert_int_equal(seen.stat.type, CASGI_FILE_REGULAR);
    assert_int_equal(seen.stat.mode, stat.st_mode & 07777);
    assert_int_equal(seen.stat.modified_ns, stat.st_mtim.tv_sec * 1000000000 + stat.st_mtim.tv_nsec);
}

static void test_file__stat_of_a_link_is_the_link_s_own(void **state)
{
    struct seen seen = { .rc = 0 };
    assert_int_equal(symlink("nowhere", path_of("a")), 0);
    assert_int_equal(run_task(*state, stat_path, &seen), 0);
    assert_int_equal(seen.stat.type, CASGI_FILE_SYMLINK);
}

/* ---- whole files and directories ---- */

static int list_names(void *arg)
{
    struct seen *seen = arg;
    casgi_dir_entry_t *entries;
    size_t count;
    int rc = casgi_list_directory(folder, &entries, &count);
    for (size_t i = 0; !rc && i < count; i++) {
        int n = snprintf(seen->data + seen->size, sizeof(seen->data) - seen->size, "%s:%u ", entries[i].name.ptr,
                         entries[i].type);
        seen->size += (size_t)n;
    }
    return rc;
}

static void test_file__a_list_is_sorted_and_knows_types(void **state)
{
    struct seen seen = { .rc = 0 };
    put_file("b", "");
    put_file("a", "");
    assert_int_equal(mkdir(path_of("sub"), 0700), 0);
    assert_int_equal(symlink("a", path_of("link")), 0);
    assert_int_equal(run_task(*state, list_names, &seen), 0);
    assert_string_equal(seen.data, "a:1 b:1 link:3 sub:2 ");
}

static void test_file__an_empty_directory_lists_nothing(void **state)
{
    struct seen seen = { .rc = 0 };
    assert_int_equal(run_task(*state, list_names, &seen), 0);
    assert_string_equal(seen.data, "");
}

static int read_whole(void *arg)
{
    struct seen *seen = arg;
    casgi_str_t text;
    int rc = casgi_read_file(path_of("a"), seen->size, &text);
    if (!rc) {
        (void)snprintf(seen->data, sizeof(seen->data), "%s", text.ptr);
        seen->size = text.len;
    }
    return rc;
}

static void test_file__a_whole_file_comes_with_a_nul(void **state)
{
    struct seen seen = { .size = 100 };
    put_file("a", "all of it");
    assert_int_equal(run_task(*state, read_whole, &seen), 0);
    assert_int_equal(seen.size, 9);
    assert_string_equal(seen.data, "all of it");
}

static void test_file__a_whole_file_larger_than_the_limit_is_refused(void **state)
{
    struct seen seen = { .size = 8 };
    put_file("a", "all of it");
    assert_int_equal(run_task(*state, read_whole, &seen), CASGI_ETOOBIG);
}

static void test_file__an_empty_file_is_an_empty_text(void **state)
{
    struct seen seen = { .size = 8, .data = "?" };
    put_file("a", "");
    assert_int_equal(run_task(*state, read_whole, &seen), 0);
    assert_int_equal(seen.size, 0);
    assert_string_equal(seen.data, "");
}

static int read_sizes(void *arg)
{
    static const size_t sizes[] = { 1, 4095, 4096, 4097, 65536, 300000 };
    (void)arg;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        casgi_str_t text;
        char *data = casgi_alloc(sizes[i]);
        memset(data, 'a' + (int)i, sizes[i]);
        int rc = casgi_replace_file(path_of("a"), data, sizes[i], 0600);
        rc = rc ? rc : casgi_read_file(path_of("a"), sizes[i], &text);
        if (rc || text.len != sizes[i] || memcmp(text.ptr, data, sizes[i]) || text.ptr[text.len]) {
            return rc ? rc : -100 - (int)i;
        }
    }
    return 0;
}

static void test_file__files_of_all_sizes_come_back_whole(void **state)
{
    assert_int_equal(run_task(*state, read_sizes, NULL), 0);
}

static int read_proc(void *arg)
{
    casgi_str_t text;
    (void)arg;
    int rc = casgi_read_file("/proc/self/status", 1 << 20, &text);
    return rc ? rc : strstr(text.ptr, "Threads:") ? 0 : -100;
}

static void test_file__a_file_that_says_it_is_empty_is_read(void **state)
{
    assert_int_equal(run_task(*state, read_proc, NULL), 0);
}

static int replace(void *arg)
{
    (void)arg;
    return casgi_replace_file(path_of("a"), "new", 3, 0604);
}

static void test_file__replace_leaves_the_new_file_and_nothing_else(void **state)
{
    struct stat stat;
    struct seen seen = { .rc = 0 };
    put_file("a", "something old");
    assert_int_equal(run_task(*state, replace, NULL), 0);
    assert_true(file_is("a", "new"));
    assert_int_equal(lstat(path_of("a"), &stat), 0);
    assert_int_equal(stat.st_mode & 07777, 0604);
    assert_int_equal(run_task(*state, list_names, &seen), 0);
    assert_string_equal(seen.data, "a:1 ");
}

static int replace_a_directory(void *arg)
{
    (void)arg;
    return casgi_replace_file(path_of("sub"), "new", 3, 0600);
}

static void test_file__a_replace_that_fails_leaves_nothing(void **state)
{
    struct seen seen = { .rc = 0 };
    assert_int_equal(mkdir(path_of("sub"), 0700), 0);
    assert_int_equal(run_task(*state, replace_a_directory, NULL), CASGI_ESYSTEM(EISDIR));
    assert_int_equal(run_task(*state, list_names, &seen), 0);
    assert_string_equal(seen.data, "sub:2 ");
}

static int change_names(void *arg)
{
    (void)arg;
    int rc = casgi_make_directory(path_of("d"), 0700);
    rc = rc ? rc : casgi_rename(path_of("a"), path_of("d/b"));
    int full = casgi_remove(path_of("d"));
    rc = rc ? rc : casgi_remove(path_of("d/b"));
    rc = rc ? rc : casgi_remove(path_of("d"));
    return rc ? rc : full;
}

static void test_file__names_are_made_changed_and_removed(void **state)
{
    struct seen seen = { .rc = 0 };
    put_file("a", "x");
    assert_int_equal(run_task(*state, change_names, NULL), CASGI_ESYSTEM(ENOTEMPTY));
    assert_int_equal(run_task(*state, list_names, &seen), 0);
    assert_string_equal(seen.data, "");
}

/* ---- cancellation: the only thread is held, so that what comes after it has not begun ---- */

struct hold {
    sem_t go;
    _Atomic bool begun;
    struct loop *loop;
};

static int hold_thread(void *arg)
{
    struct hold *hold = arg;
    hold->begun = true;
    sem_wait(&hold->go);
    return 0;
}

static int hold_task(void *arg)
{
    return thread_run(THREAD_FILES, hold_thread, arg, NULL);
}

static int write_under_deadline(void *arg)
{
    struct hold *hold = arg;
    casgi_deadline_t deadline;
    casgi_task_t *holder;
    casgi_file_t *file;
    int rc = open_for("a", CASGI_OPEN_WRITE | CASGI_OPEN_CREATE, &file);
    rc = rc ? rc : casgi_create_task(hold_task, hold, NULL, &holder);
    rc = rc ? rc : yield_until(&hold->begun);
    rc = rc ? rc : casgi_deadline_begin(&deadline, 1);
    int written = casgi_file_write(file, "never", 5);
    (void)casgi_deadline_end(&deadline);
    sem_post(&hold->go);
    rc = rc ? rc : join(holder);
    int closed = casgi_file_close(file);
    return rc ? rc : closed ? closed : written;
}

static void test_file__a_write_cancelled_before_it_begins_is_not_done(void **state)
{
    struct hold hold = { .loop = *state };
    sem_init(&hold.go, 0, 0);
    thread_limit(*state, THREAD_FILES, 1);
    assert_int_equal(run_task(*state, write_under_deadline, &hold), CASGI_ETIMEDOUT);
    assert_true(file_is("a", ""));
}

static int close_when_cancelled(void *arg)
{
    casgi_file_t *file;
    (void)arg;
    int rc = open_for("a", CASGI_OPEN_WRITE | CASGI_OPEN_CREATE, &file);
    rc = rc ? rc : casgi_cancel((casgi_task_t *)(void *)task_current());
    int written = casgi_file_write(file, "x", 1);
    int closed = casgi_file_close(file); /* the teardown counts descriptors */
    return rc ? rc : closed ? closed : written;
}

static void test_file__a_cancelled_task_can_still_close(void **state)
{
    assert_int_equal(run_task(*state, close_when_cancelled, NULL), CASGI_ECANCELED);
}

static int open_when_cancelled(void *arg)
{
    casgi_file_t *file;
    (void)arg;
    int rc = casgi_cancel((casgi_task_t *)(void *)task_current());
    return rc ? rc : open_for("a", CASGI_OPEN_READ, &file);
}

static void test_file__a_cancelled_task_opens_nothing(void **state)
{
    put_file("a", "x");
    assert_int_equal(run_task(*state, open_when_cancelled, NULL), CASGI_ECANCELED);
}

static void test_file__outside_of_a_task_it_is_refused(void **state)
{
    casgi_file_t *file;
    (void)state;
    assert_int_equal(open_for("a", CASGI_OPEN_READ, &file), CASGI_EWRONGTHREAD);
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, setup_folder, teardown_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(test_file__reads_follow_each_other_to_the_end),
        FILE_TEST(test_file__reading_at_an_offset_leaves_the_position),
        FILE_TEST(test_file__a_large_file_is_read_whole),
        FILE_TEST(test_file__opening_what_is_not_there_fails),
        FILE_TEST(test_file__exclusive_creation_refuses_what_is_there),
        FILE_TEST(test_file__flags_that_do_not_go_together_are_refused),
        FILE_TEST(test_file__a_link_is_not_followed_if_so_wished),
        FILE_TEST(test_file__a_pipe_is_refused_and_not_waited_for),
        FILE_TEST(test_file__a_new_file_has_the_mode_given),
        FILE_TEST(test_file__append_writes_to_the_end),
        FILE_TEST(test_file__writes_follow_each_other),
        FILE_TEST(test_file__writes_of_several_tasks_take_turns_in_order),
        FILE_TEST(test_file__stat_tells_size_type_and_time),
        FILE_TEST(test_file__stat_of_a_link_is_the_link_s_own),
        FILE_TEST(test_file__a_list_is_sorted_and_knows_types),
        FILE_TEST(test_file__an_empty_directory_lists_nothing),
        FILE_TEST(test_file__a_whole_file_comes_with_a_nul),
        FILE_TEST(test_file__a_whole_file_larger_than_the_limit_is_refused),
        FILE_TEST(test_file__an_empty_file_is_an_empty_text),
        FILE_TEST(test_file__files_of_all_sizes_come_back_whole),
        FILE_TEST(test_file__a_file_that_says_it_is_empty_is_read),
        FILE_TEST(test_file__replace_leaves_the_new_file_and_nothing_else),
        FILE_TEST(test_file__a_replace_that_fails_leaves_nothing),
        FILE_TEST(test_file__names_are_made_changed_and_removed),
        FILE_TEST(test_file__a_write_cancelled_before_it_begins_is_not_done),
        FILE_TEST(test_file__a_cancelled_task_can_still_close),
        FILE_TEST(test_file__a_cancelled_task_opens_nothing),
        FILE_TEST(test_file__outside_of_a_task_it_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
