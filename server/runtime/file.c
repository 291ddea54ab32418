/* Open files. A call does its system call on a thread and waits; a read first tries what the page cache holds, which
 * needs no thread (preadv2 with RWF_NOWAIT), and an open what the kernel knows of the path (RESOLVE_CACHED). */
#include "runtime/file.h"

#include "base/error.h"
#include "runtime/file_path.h"
#include "runtime/file_system.h"
#include "runtime/internal.h"
#include "runtime/threads.h"
#include "runtime/turn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    NOWAIT_MAX = 65536, /* bytes copied on the loop's thread at once */
    STREAK_MAX = 16,    /* reads without waiting before other tasks get a turn */
};

struct casgi_file {
    int fd;
    bool append;
    int64_t position;    /* ours, not the kernel's: a cancelled call does not move it */
    uint32_t users;      /* calls under way */
    struct task *closer; /* waits for users == 0 */
    bool in_turn;        /* a call uses the position */
    struct list turns;   /* those that wait to */
    uint32_t streak;
};

/* ---- opening ---- */

static const struct {
    uint32_t flag;
    int system;
} open_map[] = {
    { CASGI_OPEN_APPEND, O_APPEND },  { CASGI_OPEN_CREATE, O_CREAT },      { CASGI_OPEN_EXCLUSIVE, O_EXCL },
    { CASGI_OPEN_TRUNCATE, O_TRUNC }, { CASGI_OPEN_NOFOLLOW, O_NOFOLLOW },
};

/* O_NONBLOCK means nothing for a file, and keeps the open of a pipe from waiting for its other end. */
static int open_flags(uint32_t flags)
{
    bool read = flags & CASGI_OPEN_READ, write = flags & (CASGI_OPEN_WRITE | CASGI_OPEN_APPEND);
    int system = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (read && write ? O_RDWR : write ? O_WRONLY : O_RDONLY);
    for (size_t i = 0; i < sizeof(open_map) / sizeof(open_map[0]); i++) {
        system |= flags & open_map[i].flag ? open_map[i].system : 0;
    }
    bool exclusive_alone = (flags & CASGI_OPEN_EXCLUSIVE) && !(flags & CASGI_OPEN_CREATE);
    bool truncate_alone = (flags & (CASGI_OPEN_TRUNCATE | CASGI_OPEN_CREATE)) && !write;
    return (!read && !write) || exclusive_alone || truncate_alone ? -1 : system;
}

struct opening {
    const char *path;
    int flags;
    mode_t mode;
    int fd;
};

static int do_open(void *arg)
{
    struct opening *opening = arg;
    opening->fd = open(opening->path, opening->flags, opening->mode);
    return system_code(opening->fd);
}

/* CASGI_EAGAIN: a thread is needed. */
static int open_cached(struct opening *opening)
{
    struct open_how how = { .flags = (unsigned)opening->flags, .resolve = RESOLVE_CACHED };
    if (opening->flags & (O_CREAT | O_TRUNC)) {
        return CASGI_EAGAIN;
    }
    opening->fd = (int)syscall(SYS_openat2, AT_FDCWD, opening->path, &how, sizeof(how));
    if (opening->fd < 0 && (errno == ENOSYS || errno == EINVAL || errno == E2BIG || errno == EPERM)) {
        return CASGI_EAGAIN; /* an older kernel, or a filter that does not know the call */
    }
    return system_code(opening->fd);
}

/* Pipes and terminals have no position, and a thread would wait in them for ever. */
static int open_seekable(struct opening *opening)
{
    int result = 0;
    int rc = open_cached(opening);
    if (rc == CASGI_EAGAIN) {
        rc = thread_run(THREAD_FILES, do_open, opening, &result);
        rc = rc ? rc : result;
    }
    return rc || lseek(opening->fd, 0, SEEK_CUR) >= 0 ? rc : CASGI_ENOTSUP;
}

int file_open(const char *path, uint32_t flags, uint32_t mode, struct casgi_file **out_file)
{
    struct task *task = task_running();
    struct opening opening = { .path = path, .flags = open_flags(flags), .mode = mode & 07777, .fd = -1 };
    if (!task) {
        return CASGI_EWRONGTHREAD;
    }
    int rc = opening.flags < 0 ? CASGI_EINVAL : task_enter(task);
    if (rc) {
        return rc;
    }
    struct casgi_file *file = calloc(1, sizeof(*file));
    rc = file ? open_seekable(&opening) : CASGI_ENOMEM;
    if (rc) {
        if (opening.fd >= 0) {
            (void)close(opening.fd); /* cancelled meanwhile, or not a file */
        }
        free(file);
        return rc;
    }
    file->fd = opening.fd;
    file->append = flags & CASGI_OPEN_APPEND;
    list_init(&file->turns);
    *out_file = file;
    return 0;
}

/* ---- using: calls under way, and turns for the position ---- */

static void give_turn(struct casgi_file *file)
{
    file->in_turn = turn_serve(&file->turns, 0) != NULL;
}

static int take_turn(struct casgi_file *file)
{
    struct turn turn;
    if (!file->in_turn) {
        file->in_turn = true;
        return 0;
    }
    return turn_wait(&file->turns, &turn, task_running(), TASK_WAIT_FILE);
}

/* Every call on an open file is between these two. */
static int use_begin(struct casgi_file *file, bool position)
{
    struct task *task = task_running();
    if (!task) {
        return CASGI_EWRONGTHREAD;
    }
    int rc = task_enter(task);
    if (rc) {
        return rc;
    }
    file->users++;
    rc = position ? take_turn(file) : 0;
    if (rc) {
        file->users--;
    }
    return rc;
}

static void use_end(struct casgi_file *file, bool position)
{
    if (position) {
        give_turn(file);
    }
    if (--file->users == 0 && file->closer) {
        task_wake(file->closer);
    }
}

/* A system call on an open file. */
struct file_call {
    struct casgi_file *file;
    int64_t offset;
    void *data;
    size_t size;
    size_t done;
    struct stat stat;
};

/* ---- reading and writing ---- */

static int do_read(void *arg)
{
    struct file_call *call = arg;
    return system_read(call->file->fd, call->offset, call->data, call->size, &call->done);
}

/* As much as the page cache has. Whether that is all: `size` bytes, or the file's end. */
static bool read_cached(struct file_call *call)
{
    while (call->size <= NOWAIT_MAX && call->done < call->size) {
        struct iovec piece = { (char *)call->data + call->done, call->size - call->done };
        ssize_t n = preadv2(call->file->fd, &piece, 1, call->offset + (int64_t)call->done, RWF_NOWAIT);
        if (n <= 0) {
            return n == 0;
        }
        call->done += (size_t)n;
    }
    return call->done == call->size;
}

static void be_fair(struct casgi_file *file)
{
    if (++file->streak >= STREAK_MAX) {
        file->streak = 0;
        int rc = task_yield();
        (void)rc; /* a cancellation comes with the next call */
    }
}

/* `offset` FILE_HERE: from the position. A read that is cancelled or fails does not move it. */
int file_read(struct casgi_file *file, int64_t offset, void *data, size_t size, size_t *out_size)
{
    bool here = offset < 0;
    int result = 0;
    int rc = use_begin(file, here);
    if (rc) {
        return rc;
    }
    struct file_call call = { .file = file, .offset = here ? file->position : offset, .data = data, .size = size };
    if (read_cached(&call)) {
        be_fair(file);
    } else {
        rc = thread_run(THREAD_FILES, do_read, &call, &result);
        file->streak = 0;
    }
    rc = rc ? rc : result;
    file->position += here && !rc ? (int64_t)call.done : 0;
    use_end(file, here);
    if (!rc) {
        *out_size = call.done;
    }
    return rc ? rc : call.done || !size ? 0 : CASGI_EEOF;
}

static int do_write(void *arg)
{
    struct file_call *call = arg;
    return system_write(call->file->fd, call->offset, call->data, call->size);
}

int file_write(struct casgi_file *file, int64_t offset, const void *data, size_t size)
{
    bool here = offset < 0;
    int result = 0;
    int rc = use_begin(file, here);
    if (rc) {
        return rc;
    }
    struct file_call call = {
        .file = file,
        .offset = here ? file->position : offset,
        .data = (void *)(uintptr_t)data,
        .size = size,
    };
    rc = thread_run(THREAD_FILES, do_write, &call, &result);
    rc = rc ? rc : result;
    file->position += here && !rc && !file->append ? (int64_t)size : 0;
    use_end(file, here);
    return rc;
}

/* ---- the rest ---- */

static int on_thread(struct casgi_file *file, int (*fn)(void *arg), struct file_call *call)
{
    int result = 0;
    int rc = use_begin(file, false);
    if (rc) {
        return rc;
    }
    call->file = file;
    rc = thread_run(THREAD_FILES, fn, call, &result);
    use_end(file, false);
    return rc ? rc : result;
}

static int do_truncate(void *arg)
{
    struct file_call *call = arg;
    return system_code(ftruncate(call->file->fd, call->offset));
}

static int do_sync(void *arg)
{
    struct file_call *call = arg;
    return system_code(fsync(call->file->fd));
}

static int do_stat(void *arg)
{
    struct file_call *call = arg;
    return system_code(fstat(call->file->fd, &call->stat));
}

static int do_close(void *arg)
{
    struct casgi_file *file = arg;
    return system_code(close(file->fd));
}

int file_close(struct casgi_file *file)
{
    if (!file) {
        return 0;
    }
    file->closer = task_running();
    if (!file->closer) {
        return CASGI_EWRONGTHREAD;
    }
    while (file->users) {
        task_park_uncancelable(TASK_WAIT_FILE);
    }
    int rc = thread_run_always(THREAD_FILES, do_close, file);
    free(file);
    return rc;
}

int file_descriptor(const struct casgi_file *file)
{
    return file->fd;
}

/* ---- casgi.files/1 ---- */

static int interface_read(casgi_file_t *file, void *data, size_t size, size_t *out_size)
{
    return file_read(file, FILE_HERE, data, size, out_size);
}

static int interface_read_at(casgi_file_t *file, uint64_t offset, void *data, size_t size, size_t *out_size)
{
    return offset > INT64_MAX ? CASGI_EINVAL : file_read(file, (int64_t)offset, data, size, out_size);
}

static int interface_write(casgi_file_t *file, const void *data, size_t size)
{
    return file_write(file, FILE_HERE, data, size);
}

static int interface_write_at(casgi_file_t *file, uint64_t offset, const void *data, size_t size)
{
    return offset > INT64_MAX ? CASGI_EINVAL : file_write(file, (int64_t)offset, data, size);
}

static int interface_truncate(casgi_file_t *file, uint64_t size)
{
    struct file_call call = { .offset = (int64_t)size };
    return size > INT64_MAX ? CASGI_EINVAL : on_thread(file, do_truncate, &call);
}

static int interface_sync(casgi_file_t *file)
{
    struct file_call call = { .offset = 0 };
    return on_thread(file, do_sync, &call);
}

static int interface_stat(casgi_file_t *file, casgi_stat_t *out_stat)
{
    struct file_call call = { .offset = 0 };
    int rc = on_thread(file, do_stat, &call);
    if (!rc) {
        system_stat(&call.stat, out_stat);
    }
    return rc;
}

const casgi_files_1_t files_interface = {
    .open = file_open,
    .close = file_close,
    .read = interface_read,
    .read_at = interface_read_at,
    .write = interface_write,
    .write_at = interface_write_at,
    .truncate = interface_truncate,
    .sync = interface_sync,
    .stat = interface_stat,
    .descriptor = file_descriptor,
    .stat_path = file_path_stat,
    .list = file_path_list,
    .read_whole = file_path_read,
    .replace = file_path_replace,
    .rename = file_path_rename,
    .remove = file_path_remove,
    .make_directory = file_path_make_directory,
};
