/* casgi_run: feeds a program and gathers what it says, in one task that waits for all of its pipes at once. */
#include "base/buf.h"
#include "runtime/internal.h"
#include "runtime/process_impl.h"
#include "runtime/socket_impl.h"

enum { PIECE = 16384 };

struct gather {
    struct casgi_stream *stream;
    struct fd_waiter waiter;
    struct buf text;
    size_t limit;
    bool over;
};

struct feed {
    struct casgi_stream *stream; /* NULL: done */
    struct fd_waiter waiter;
    casgi_str_t rest;
};

/* Takes what is there. */
static int drain(struct gather *gather)
{
    struct casgi_stream *stream = gather->stream;
    while (!gather->over) {
        uint32_t wants = 0;
        char *to = buf_reserve(&gather->text, PIECE);
        if (!to) {
            return CASGI_ENOMEM;
        }
        ssize_t n = stream->transport->read(stream, to, PIECE, &wants);
        if (n == CASGI_EAGAIN) {
            fd_watch_clear(&stream->watch, wants);
            return 0;
        }
        gather->over = n <= 0;
        buf_commit(&gather->text, n > 0 ? (size_t)n : 0);
        if (buf_len(&gather->text) > gather->limit) {
            return CASGI_ETOOBIG;
        }
        fd_watch_fair(&stream->watch);
    }
    return 0;
}

/* A program that ends its input early is not in error. */
static void feed_some(struct feed *feed)
{
    struct casgi_stream *stream = feed->stream;
    while (feed->rest.len) {
        uint32_t wants = 0;
        struct iovec piece = { (void *)(uintptr_t)feed->rest.ptr, feed->rest.len };
        ssize_t n = stream->transport->write(stream, &piece, 1, &wants);
        if (n == CASGI_EAGAIN) {
            fd_watch_clear(&stream->watch, wants);
            return;
        }
        size_t taken = n > 0 ? (size_t)n : feed->rest.len;
        feed->rest = (casgi_str_t){ feed->rest.ptr + taken, feed->rest.len - taken };
    }
    fd_watch_detach(&feed->waiter);
    feed->stream = NULL;
}

struct run {
    struct casgi_process *process;
    struct fd_waiter waiter;
    struct feed feed;
    struct gather out;
    struct gather err;
};

static void begin(struct run *run, struct casgi_process *process, casgi_str_t input, size_t limit)
{
    *run = (struct run){
        .process = process,
        .feed = { .stream = process->streams[0], .rest = input },
        .out = { .stream = process->streams[1], .limit = limit },
        .err = { .stream = process->streams[2], .limit = limit },
    };
    fd_watch_attach(&process->watch, &run->waiter, CASGI_FD_READABLE);
    fd_watch_attach(&run->out.stream->watch, &run->out.waiter, CASGI_FD_READABLE);
    fd_watch_attach(&run->err.stream->watch, &run->err.waiter, CASGI_FD_READABLE);
    if (run->feed.stream) {
        fd_watch_attach(&run->feed.stream->watch, &run->feed.waiter, CASGI_FD_WRITABLE);
    }
}

static void end(struct run *run)
{
    fd_watch_detach(&run->waiter);
    fd_watch_detach(&run->out.waiter);
    fd_watch_detach(&run->err.waiter);
    if (run->feed.stream) {
        fd_watch_detach(&run->feed.waiter);
    }
}

/* Once it has ended, what it had said is there; what a grandchild may say to the same pipe later is not waited for. */
static int work(struct run *run)
{
    for (;;) {
        bool ended = process_look(run->process);
        if (run->feed.stream) {
            feed_some(&run->feed);
            if (!run->feed.stream) {
                socket_close(run->process->streams[0]);
                run->process->streams[0] = NULL;
            }
        }
        int rc = drain(&run->out);
        rc = rc ? rc : drain(&run->err);
        rc = rc || ended ? rc : task_park(TASK_WAIT_PROCESS);
        if (rc || ended) {
            return rc;
        }
    }
}

static int keep(struct buf *text, casgi_str_t *out_text)
{
    casgi_str_t found = { buf_len(text) ? buf_bytes(text) : "", buf_len(text) };
    *out_text = arena_copy(task_running()->arena, found);
    return out_text->ptr ? 0 : CASGI_ENOMEM;
}

static int gather_all(struct casgi_process *process, casgi_str_t input, size_t limit, casgi_run_t *out_run)
{
    struct run run;
    casgi_run_t result = { .exit.code = -1 };
    begin(&run, process, input, limit);
    int rc = work(&run);
    end(&run);
    rc = rc ? rc : keep(&run.out.text, &result.output);
    rc = rc ? rc : keep(&run.err.text, &result.error);
    buf_release(&run.out.text);
    buf_release(&run.err.text);
    if (!rc) {
        result.exit = process->exit;
        *out_run = result;
    }
    return rc;
}

int process_run(const casgi_spawn_t *spawn, casgi_str_t input, size_t limit, casgi_run_t *out_run)
{
    struct casgi_process *process;
    if (!spawn) {
        return CASGI_EINVAL;
    }
    casgi_spawn_t piped = *spawn;
    piped.stdio[0] = input.len ? CASGI_STDIO_PIPE : CASGI_STDIO_NULL;
    piped.stdio[1] = CASGI_STDIO_PIPE;
    piped.stdio[2] = CASGI_STDIO_PIPE;
    int rc = process_spawn(&piped, &process);
    if (rc) {
        return rc;
    }
    rc = gather_all(process, input, limit, out_run);
    (void)process_close(process); /* ends it if it still runs */
    return rc;
}
