/* zerocopysend and pathsend: bodies from files. */
#include "exchange/private.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A part of an open file. */
struct range {
    int file;
    int64_t offset;
    int64_t count;
};

enum { SLICE = 512 << 10 };

/* Reads what sendfile cannot send, and pushes it. Returns bytes, or a code. */
static ssize_t copy_slice(struct exchange *ex, struct range *range)
{
    struct chunk *chunk = chunk_take(ex->host, CHUNK_LARGE_SIZE);
    if (!chunk) {
        return CASGI_ENOMEM;
    }
    size_t wanted = range->count < (int64_t)chunk->capacity ? (size_t)range->count : chunk->capacity;
    ssize_t got;
    do {
        got = pread(range->file, chunk->data, wanted, range->offset);
    } while (got < 0 && errno == EINTR);
    if (got > 0) {
        range->offset += got;
        int rc = push(ex, chunk->data, (size_t)got, false, true);
        got = rc ? rc : got;
    } else {
        got = got ? CASGI_EIO : CASGI_EEOF;
    }
    chunk_give(ex->host, chunk);
    return got;
}

/* What the driver cannot: bytes taken, counted; 0: none now; or a code. */
static ssize_t send_slice(struct exchange *ex, struct range *range)
{
    if (ex->driver->file) {
        size_t size = range->count < SLICE ? (size_t)range->count : SLICE;
        ssize_t taken = ex->driver->file(ex, range->file, &range->offset, size);
        if (taken >= 0) {
            count_sent(ex, (size_t)taken);
        }
        if (taken != CASGI_ENOTSUP) {
            return taken == CASGI_EAGAIN ? 0 : taken;
        }
    }
    return copy_slice(ex, range);
}

/* The file's own trouble cuts the response, as a part of it may have left; the client's is told as any. */
static int slice_failed(struct exchange *ex, int code)
{
    if (ex->priv->out.code) {
        return ex->priv->out.code;
    }
    switch (code) {
    case CASGI_EEOF:
        exchange_cut(ex, code, "a file became shorter while it was sent", true);
        return code;
    case CASGI_EIO:
    case CASGI_ENOMEM:
        exchange_cut(ex, code, "a file could not be read", true);
        return code;
    default:
        return driver_failed(ex, code);
    }
}

/* [task] Sends the whole range. */
static int send_range(struct exchange *ex, struct range range)
{
    while (range.count) {
        ssize_t taken = send_slice(ex, &range);
        if (taken < 0) {
            return slice_failed(ex, (int)taken);
        }
        range.count -= taken;
        int rc = taken ? 0 : wait_for_room(ex, true);
        if (!rc && range.count && owes_turn(ex)) {
            rc = task_interface.yield();
            if (rc) {
                exchange_cut(ex, rc, "a send was cancelled in the midst of its event", false);
            }
        }
        if (rc) {
            return rc;
        }
    }
    return 0;
}

/* The event, once its range is known. */
static int send_file(struct exchange *ex, struct range range, bool last)
{
    struct outbound *out = &ex->priv->out;
    bool first = out->state == RESPONSE_STARTED;
    int rc = account(ex, (uint64_t)range.count, last);
    rc = rc ? rc : commit_head(ex, last ? range.count : -1);
    if (!rc && ex->priv->head.body_allowed) {
        rc = send_range(ex, range);
    }
    if (!rc && (last || first)) {
        rc = push(ex, NULL, 0, last && !ex->priv->head.has_trailers, true);
    }
    if (!rc && last) {
        body_done(ex);
    }
    return rc;
}

static int file_size(int file, int64_t *out_size)
{
    struct stat status;
    if (fstat(file, &status)) {
        return CASGI_EINVAL;
    }
    *out_size = status.st_size;
    return S_ISREG(status.st_mode) ? 0 : CASGI_EINVAL;
}

static int resolve_range(const casgi_http_response_zerocopysend_t *event, struct range *out_range)
{
    int64_t size;
    int64_t offset = event->has_offset ? event->offset : lseek(event->file, 0, SEEK_CUR);
    int rc = file_size(event->file, &size);
    if (rc || offset < 0 || (event->has_count && event->count < 0)) {
        return CASGI_EINVAL;
    }
    int64_t left = offset < size ? size - offset : 0;
    *out_range = (struct range){ event->file, offset, event->has_count ? event->count : left };
    return out_range->count > left ? CASGI_EINVAL : 0;
}

static bool may_send_body(struct exchange *ex)
{
    return ex->priv->out.state == RESPONSE_STARTED || ex->priv->out.state == RESPONSE_BODY;
}

int response_zerocopysend(struct exchange *ex, const casgi_http_response_zerocopysend_t *event)
{
    struct range range;
    if (!may_send_body(ex)) {
        return refuse(ex, CASGI_EPROTO, "http.response.zerocopysend before the start or after the last body");
    }
    int rc = resolve_range(event, &range);
    if (rc) {
        return refuse(ex, rc, "http.response.zerocopysend needs a range of a regular file");
    }
    rc = send_file(ex, range, !event->more_body);
    if (!rc && !event->has_offset) {
        (void)lseek(event->file, range.offset + range.count, SEEK_SET);
    }
    return rc;
}

static int open_path(struct exchange *ex, casgi_str_t path, int *out_file)
{
    if (!path.len || path.ptr[0] != '/' || memchr(path.ptr, '\0', path.len)) {
        return refuse(ex, CASGI_EINVAL, "http.response.pathsend needs an absolute path");
    }
    casgi_str_t name = arena_copy(&ex->arena, path);
    if (!name.ptr) {
        return CASGI_ENOMEM;
    }
    int file = open(name.ptr, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0) {
        return error_from_errno(errno);
    }
    *out_file = file;
    return 0;
}

int response_pathsend(struct exchange *ex, const casgi_http_response_pathsend_t *event)
{
    int file = -1;
    int64_t size = 0;
    if (ex->priv->out.state != RESPONSE_STARTED) {
        return refuse(ex, CASGI_EPROTO, "http.response.pathsend must directly follow http.response.start");
    }
    int rc = open_path(ex, event->path, &file);
    if (rc) {
        return rc;
    }
    rc = file_size(file, &size);
    if (rc) {
        rc = refuse(ex, rc, "http.response.pathsend needs a regular file");
    } else {
        rc = send_file(ex, (struct range){ file, 0, size }, true);
    }
    (void)close(file);
    return rc;
}
