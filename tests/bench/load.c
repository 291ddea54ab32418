/* load: a bounded HTTP/1.1 load on 127.0.0.1, by one thread and epoll.
 *
 *   load PORT [--connections N] [--requests N] [--seconds S] [--pipeline N] [--post FILE] [--close] [--hold]
 *
 * Each connection sends one batch of requests (--pipeline, default 1), waits for all its answers, and sends the next.
 * It ends after --requests answers or --seconds, whichever is first; the answers must be 200 with a Content-Length.
 * --close opens a connection for each batch. --hold makes one request on each connection, says so, and keeps all open
 * until its standard input ends. Prints one line of JSON; exit code 1 if anything but a 200 came back.
 *
 * Connections come from 127.0.0.2 to 127.0.0.201 by turns, so that closed ones in TIME_WAIT do not use up the ports. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 4096, IN_SIZE = 256 * 1024, SAMPLES_MAX = 1 << 22 };

struct connection {
    int fd;
    unsigned awaited;   /* answers still to come of this batch */
    size_t sent;        /* bytes of the batch that left */
    uint64_t began;     /* when the batch was sent */
    uint64_t body_left; /* bytes of the answer's body still to come */
    char *head;         /* an unfinished head, HEAD_MAX bytes; NULL while none was */
    unsigned head_used;
    bool want_write; /* registered for EPOLLOUT */
};

static struct {
    int port;
    unsigned connections;
    uint64_t requests;
    uint64_t nanoseconds;
    unsigned pipeline;
    const char *post;
    bool close;
    bool hold;
} options = { .connections = 64, .requests = UINT64_MAX, .nanoseconds = 3600ull * 1000000000ull, .pipeline = 1 };

static char *batch; /* what a connection sends at once */
static size_t batch_size;
static int poll_fd;
static uint64_t started;  /* requests in batches sent */
static uint64_t answered; /* whole answers */
static uint64_t failed;   /* answers other than 200, broken connections */
static unsigned open_count;
static uint32_t *samples; /* microseconds a batch took */
static size_t sample_count;

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void die(const char *what)
{
    perror(what);
    exit(2);
}

/* --- what is sent --- */

static char *file_read(const char *path, size_t *out_size)
{
    static char data[1 << 20];
    FILE *file = fopen(path, "rb");
    if (!file) {
        die(path);
    }
    *out_size = fread(data, 1, sizeof data, file);
    fclose(file);
    return data;
}

static void batch_make(void)
{
    char head[256];
    size_t body_size = 0;
    const char *body = options.post ? file_read(options.post, &body_size) : "";
    int head_size = options.post
                        ? snprintf(head, sizeof head,
                                   "POST / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
                                   "Content-Length: %zu\r\n\r\n",
                                   options.port, body_size)
                        : snprintf(head, sizeof head, "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n", options.port);
    size_t one = (size_t)head_size + body_size;
    batch_size = one * options.pipeline;
    batch = malloc(batch_size);
    if (!batch) {
        die("malloc");
    }
    for (unsigned i = 0; i < options.pipeline; i++) {
        memcpy(batch + i * one, head, (size_t)head_size);
        memcpy(batch + i * one + head_size, body, body_size);
    }
}

/* --- connections --- */

static int socket_open(void)
{
    static unsigned turn;
    int on = 1;
    struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002u + turn++ % 200) };
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)options.port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) {
        die("socket");
    }
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&from, sizeof from) != 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        die("connect");
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void connection_open(struct connection *c)
{
    *c = (struct connection){ .fd = socket_open() };
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0) {
        die("epoll_ctl");
    }
    open_count++;
}

static void connection_close(struct connection *c)
{
    close(c->fd);
    free(c->head);
    c->head = NULL;
    c->fd = -1;
    open_count--;
}

static void connection_fail(struct connection *c, const char *why)
{
    if (failed++ == 0) {
        fprintf(stderr, "load: %s\n", why);
    }
    connection_close(c);
}

static void connection_watch_write(struct connection *c, bool on)
{
    if (c->want_write != on) {
        struct epoll_event event = { .events = EPOLLIN | (on ? EPOLLOUT : 0u), .data.ptr = c };
        epoll_ctl(poll_fd, EPOLL_CTL_MOD, c->fd, &event);
        c->want_write = on;
    }
}

static void connection_write(struct connection *c)
{
    while (c->sent < batch_size) {
        ssize_t n = send(c->fd, batch + c->sent, batch_size - c->sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EAGAIN) {
                connection_watch_write(c, true);
            } else {
                connection_fail(c, "send failed");
            }
            return;
        }
        c->sent += (size_t)n;
    }
    connection_watch_write(c, false);
}

static void batch_begin(struct connection *c)
{
    started += options.pipeline;
    c->awaited = options.pipeline;
    c->sent = 0;
    c->began = now();
    connection_write(c);
}

/* --- answers --- */

/* The body's length if the head is a 200's, else -1. */
static int64_t head_parse(const char *head, size_t size)
{
    if (size < 12 || memcmp(head, "HTTP/1.1 200", 12) != 0) {
        return -1;
    }
    for (const char *line = head; (line = memchr(line, '\n', size - (size_t)(line - head))); line++) {
        if (strncasecmp(line + 1, "content-length:", 15) == 0) {
            return strtoll(line + 16, NULL, 10);
        }
    }
    return -1;
}

/* Keeps what came of a head that is not whole yet. */
static bool head_keep(struct connection *c, const char *data, size_t size)
{
    if (!c->head && !(c->head = malloc(HEAD_MAX))) {
        die("malloc");
    }
    if (size > HEAD_MAX - c->head_used) {
        return false;
    }
    memcpy(c->head + c->head_used, data, size);
    c->head_used += (unsigned)size;
    return true;
}

/* Takes what it can of a head; returns the bytes used, 0 if the answer is not one we want. */
static size_t head_take(struct connection *c, const char *data, size_t size)
{
    size_t before = c->head_used;
    const char *head = data;
    if (before > 0) {
        size = size < HEAD_MAX - before ? size : HEAD_MAX - before;
        if (!head_keep(c, data, size)) {
            return 0;
        }
        head = c->head;
    }
    const char *end = memmem(head, before + size, "\r\n\r\n", 4);
    if (!end) {
        return before > 0 || head_keep(c, data, size) ? size : 0;
    }
    size_t head_size = (size_t)(end - head) + 4;
    int64_t length = head_parse(head, head_size);
    if (length < 0) {
        return 0;
    }
    c->head_used = 0;
    c->body_left = (uint64_t)length;
    c->awaited -= length == 0;
    answered += length == 0;
    return head_size - before;
}

static size_t body_take(struct connection *c, size_t size)
{
    size_t used = size < c->body_left ? size : (size_t)c->body_left;
    c->body_left -= used;
    c->awaited -= c->body_left == 0;
    answered += c->body_left == 0;
    return used;
}

static bool answers_take(struct connection *c, const char *data, size_t size)
{
    while (size > 0 && c->awaited > 0) {
        size_t used = c->body_left > 0 ? body_take(c, size) : head_take(c, data, size);
        if (used == 0) {
            return false;
        }
        data += used;
        size -= used;
    }
    return size == 0;
}

static void batch_end(struct connection *c)
{
    if (sample_count < SAMPLES_MAX) {
        samples[sample_count++] = (uint32_t)((now() - c->began) / 1000);
    }
    if (options.hold) {
        return;
    }
    bool more = started < options.requests;
    if (options.close || !more) {
        connection_close(c);
        if (more) {
            connection_open(c);
        }
    }
    if (more) {
        batch_begin(c);
    }
}

static void on_readable(struct connection *c)
{
    static char in[IN_SIZE];
    ssize_t n = recv(c->fd, in, sizeof in, 0);
    if (n < 0 && errno == EAGAIN) {
        return;
    }
    if (n <= 0) {
        connection_fail(c, "closed by the server");
    } else if (!answers_take(c, in, (size_t)n)) {
        connection_fail(c, "not an answer of 200 with a Content-Length");
    } else if (c->awaited == 0) {
        batch_end(c);
    }
}

static void on_event(const struct epoll_event *event)
{
    struct connection *c = event->data.ptr;
    if (c->fd >= 0 && (event->events & EPOLLOUT)) {
        connection_write(c);
    }
    if (c->fd >= 0 && (event->events & ~(uint32_t)EPOLLOUT)) {
        on_readable(c);
    }
}

/* --- a run --- */

/* Returns how long it took, from the moment all connections were open. */
static uint64_t run(struct connection *connections)
{
    struct epoll_event events[1024];
    uint64_t enough = options.hold ? options.connections : UINT64_MAX;
    for (unsigned i = 0; i < options.connections; i++) {
        connection_open(&connections[i]);
    }
    uint64_t began = now();
    for (unsigned i = 0; i < options.connections && started < options.requests; i++) {
        batch_begin(&connections[i]);
    }
    while (open_count > 0 && answered < options.requests && answered < enough && now() - began < options.nanoseconds) {
        int n = epoll_wait(poll_fd, events, 1024, 100);
        for (int i = 0; i < n; i++) {
            on_event(&events[i]);
        }
    }
    return now() - began;
}

static int compare_samples(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void report(uint64_t nanoseconds)
{
    qsort(samples, sample_count, sizeof *samples, compare_samples);
    uint32_t half = sample_count ? samples[sample_count / 2] : 0;
    uint32_t late = sample_count ? samples[sample_count - 1 - sample_count / 100] : 0;
    printf("{\"answers\": %llu, \"failed\": %llu, \"seconds\": %.6f, \"p50_us\": %u, \"p99_us\": %u}\n",
           (unsigned long long)answered, (unsigned long long)failed, (double)nanoseconds / 1e9, half, late);
    fflush(stdout);
}

static void hold(void)
{
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
}

static bool option_take(const char *name, const char *value)
{
    double number = value ? strtod(value, NULL) : 0;
    if (strcmp(name, "--close") == 0) {
        options.close = true;
        return false;
    }
    if (strcmp(name, "--hold") == 0) {
        options.hold = true;
        return false;
    }
    if (value && strcmp(name, "--connections") == 0) {
        options.connections = (unsigned)number;
    } else if (value && strcmp(name, "--requests") == 0) {
        options.requests = (uint64_t)number;
    } else if (value && strcmp(name, "--seconds") == 0) {
        options.nanoseconds = (uint64_t)(number * 1e9);
    } else if (value && strcmp(name, "--pipeline") == 0) {
        options.pipeline = (unsigned)number;
    } else if (value && strcmp(name, "--post") == 0) {
        options.post = value;
    } else {
        fprintf(stderr, "load: unknown or incomplete option %s\n", name);
        exit(2);
    }
    return true;
}

int main(int argc, char **argv)
{
    if (argc < 2 || (options.port = (int)strtol(argv[1], NULL, 10)) <= 0) {
        fprintf(stderr, "usage: load PORT [OPTION...]\n");
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        i += option_take(argv[i], argv[i + 1]);
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    poll_fd = epoll_create1(0);
    samples = malloc(SAMPLES_MAX * sizeof *samples);
    struct connection *connections = calloc(options.connections, sizeof *connections);
    if (!samples || !connections) {
        die("malloc");
    }
    batch_make();
    report(run(connections));
    if (options.hold) {
        hold();
    }
    return failed > 0;
}
