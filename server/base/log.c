#include "base/log.h"

#include "base/log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PREFIX_MAX = 64, ID_MAX = 129, DRAIN_MS = 500 }; /* an id has at most 128 bytes */

struct level_name {
    const char *json;
    const char *text;    /* as uvicorn pads it */
    const char *colored; /* the same on a terminal */
};

static const struct level_name level_names[] = {
    [CASGI_LOG_TRACE] = { "trace", "TRACE:    ", "\x1b[34mTRACE\x1b[0m:    " },
    [CASGI_LOG_DEBUG] = { "debug", "DEBUG:    ", "\x1b[36mDEBUG\x1b[0m:    " },
    [CASGI_LOG_INFO] = { "info", "INFO:     ", "\x1b[32mINFO\x1b[0m:     " },
    [CASGI_LOG_WARNING] = { "warning", "WARNING:  ", "\x1b[33mWARNING\x1b[0m:  " },
    [CASGI_LOG_ERROR] = { "error", "ERROR:    ", "\x1b[31mERROR\x1b[0m:    " },
    [CASGI_LOG_CRITICAL] = { "critical", "CRITICAL: ", "\x1b[91mCRITICAL\x1b[0m: " },
};

static struct log_sink sinks[2] = {
    [LOG_STDERR] = { .lock = PTHREAD_MUTEX_INITIALIZER },
    [LOG_STDOUT] = { .lock = PTHREAD_MUTEX_INITIALIZER },
};
static pthread_once_t sinks_once = PTHREAD_ONCE_INIT;
static _Atomic int lowest_level = CASGI_LOG_INFO;
static enum log_format line_format;
static bool stream_colors[2];
static char message_text[LOG_LINE_MAX]; /* guarded by stderr's lock */

static casgi_str_t (*_Atomic request_source)(void);
static _Thread_local casgi_str_t request;
static _Thread_local bool gathering;

static void open_sinks(void)
{
    log_sink_open(&sinks[LOG_STDERR], STDERR_FILENO);
    log_sink_open(&sinks[LOG_STDOUT], STDOUT_FILENO);
}

static void fill_closed_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            /* The lowest free number is this one. */
            (void)open("/dev/null", O_RDWR);
        }
    }
}

static bool want_colors(int wish, enum log_stream stream)
{
    if (wish >= 0) {
        return wish > 0;
    }
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    return sinks[stream].terminal && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
}

static struct log_sink *lock(enum log_stream stream)
{
    (void)pthread_once(&sinks_once, open_sinks);
    (void)pthread_mutex_lock(&sinks[stream].lock);
    return &sinks[stream];
}

static void unlock(struct log_sink *sink)
{
    (void)pthread_mutex_unlock(&sink->lock);
}

/* The descriptors may have been redirected since. */
static void reopen_sinks(void)
{
    static const int numbers[] = { [LOG_STDERR] = STDERR_FILENO, [LOG_STDOUT] = STDOUT_FILENO };
    for (int stream = LOG_STDERR; stream <= LOG_STDOUT; stream++) {
        struct log_sink *sink = lock((enum log_stream)stream);
        log_sink_open(sink, numbers[stream]);
        unlock(sink);
    }
}

void log_setup(const struct log_options *options)
{
    fill_closed_descriptors();
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    reopen_sinks();
    atomic_store(&lowest_level, options->level);
    line_format = options->format;
    stream_colors[LOG_STDERR] = want_colors(options->colors, LOG_STDERR);
    stream_colors[LOG_STDOUT] = want_colors(options->colors, LOG_STDOUT);
}

bool log_enabled(int level)
{
    return level >= atomic_load_explicit(&lowest_level, memory_order_relaxed);
}

bool log_json(void)
{
    return line_format == LOG_FORMAT_JSON;
}

bool log_colors(enum log_stream stream)
{
    return stream_colors[stream];
}

casgi_str_t log_set_request(casgi_str_t request_id)
{
    casgi_str_t before = request;
    request = request_id;
    return before;
}

void log_set_request_source(casgi_str_t (*source)(void))
{
    atomic_store(&request_source, source);
}

static casgi_str_t current_request(void)
{
    if (request.ptr) {
        return request;
    }
    casgi_str_t (*source)(void) = atomic_load_explicit(&request_source, memory_order_relaxed);
    return source ? source() : request;
}

void log_gather(bool on)
{
    gathering = on;
}

void log_time(char out[static LOG_TIME_LEN + 1])
{
    static _Thread_local time_t cached_second = -1;
    static _Thread_local char cached[LOG_TIME_LEN + 1];
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != cached_second) {
        struct tm tm;
        char text[64];
        (void)gmtime_r(&now.tv_sec, &tm);
        (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.000Z", &tm);
        memcpy(cached, text, LOG_TIME_LEN);
        cached_second = now.tv_sec;
    }
    memcpy(out, cached, sizeof(cached));
    long milliseconds = now.tv_nsec / 1000000;
    out[20] = (char)('0' + milliseconds / 100);
    out[21] = (char)('0' + milliseconds / 10 % 10);
    out[22] = (char)('0' + milliseconds % 10);
}

static size_t put(char *out, const char *text)
{
    size_t len = strlen(text);
    memcpy(out, text, len);
    return len;
}

/* Time and level in front of a line of text. */
static size_t put_prefix(char *out, enum log_stream stream, int level)
{
    size_t at = 0;
    if (!sinks[stream].terminal) {
        log_time(out);
        out[LOG_TIME_LEN] = ' ';
        at = LOG_TIME_LEN + 1;
    }
    return at + put(out + at, stream_colors[stream] ? level_names[level].colored : level_names[level].text);
}

static size_t put_text_line(char *out, int level, casgi_str_t tag, casgi_str_t message)
{
    size_t at = put_prefix(out, LOG_STDERR, level);
    if (tag.ptr) {
        out[at++] = '[';
        at += log_escape(out + at, ID_MAX, tag);
        at += put(out + at, "] ");
    }
    return at + log_escape_message(out + at, LOG_LINE_MAX - at, message);
}

static size_t put_json_line(char *out, int level, casgi_str_t tag, casgi_str_t message)
{
    char time[LOG_TIME_LEN + 1];
    log_time(time);
    size_t at = (size_t)snprintf(out, LOG_LINE_MAX, "{\"time\":\"%s\",\"level\":\"%s\",\"pid\":%d,\"message\":\"", time,
                                 level_names[level].json, (int)getpid());
    /* Room for the request id, escaped, and what stands around it. */
    at += log_escape_json(out + at, LOG_LINE_MAX - at - ID_MAX - 24, message);
    if (tag.ptr) {
        at += put(out + at, "\",\"request_id\":\"");
        at += log_escape_json(out + at, ID_MAX, tag);
    }
    return at + put(out + at, "\"}");
}

/* One line of stderr's, whose lock is held. */
static void add_line(int level, casgi_str_t tag, casgi_str_t message)
{
    struct log_sink *sink = &sinks[LOG_STDERR];
    char *line = log_sink_reserve(sink, LOG_LINE_MAX);
    if (line) {
        size_t size = log_json() ? put_json_line(line, level, tag, message) : put_text_line(line, level, tag, message);
        line[size++] = '\n';
        log_sink_commit(sink, size);
    }
}

/* Tells, in stderr's place, of lines that were lost there. */
static void add_notice(void)
{
    struct log_sink *sink = &sinks[LOG_STDERR];
    uint64_t lost = sink->lost;
    if (!lost || sink->told || LOG_SINK_SIZE - sink->end < (size_t)LOG_LINE_MAX * 4) {
        return;
    }
    char text[64];
    int len = snprintf(text, sizeof(text), "%llu log lines lost", (unsigned long long)lost);
    add_line(CASGI_LOG_WARNING, (casgi_str_t){ NULL, 0 }, (casgi_str_t){ text, (size_t)len });
    sink->lost -= lost;
    sink->told = lost;
}

void log_printv(int level, const char *format, va_list args)
{
    if (!log_enabled(level)) {
        return;
    }
    level = level < CASGI_LOG_TRACE ? CASGI_LOG_TRACE : level > CASGI_LOG_CRITICAL ? CASGI_LOG_CRITICAL : level;
    int saved = errno;
    casgi_str_t tag = current_request();
    struct log_sink *sink = lock(LOG_STDERR);
    errno = saved; /* for %m */
    int len = vsnprintf(message_text, sizeof(message_text), format, args);
    if (len >= 0) {
        size_t size = (size_t)len < sizeof(message_text) ? (size_t)len : sizeof(message_text) - 1;
        add_notice();
        add_line(level, tag, (casgi_str_t){ message_text, size });
    }
    if (!gathering || level >= CASGI_LOG_WARNING) {
        log_sink_flush(sink);
    }
    unlock(sink);
    errno = saved;
}

void log_print(int level, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_printv(level, format, args);
    va_end(args);
}

void log_access(const char *line, size_t size)
{
    struct log_sink *sink = lock(LOG_STDOUT);
    char *out = log_sink_reserve(sink, LOG_LINE_MAX);
    if (out) {
        size_t at = log_json() ? 0 : put_prefix(out, LOG_STDOUT, CASGI_LOG_INFO);
        size_t fitting = size < LOG_LINE_MAX - 1 - at ? size : LOG_LINE_MAX - 1 - at;
        memcpy(out + at, line, fitting);
        at += fitting;
        out[at++] = '\n';
        log_sink_commit(sink, at);
    }
    if (!gathering) {
        log_sink_flush(sink);
    }
    unlock(sink);
}

/* Flushes stdout's lines. Returns how many were lost before, if it takes lines again. */
static uint64_t flush_access(void)
{
    struct log_sink *sink = lock(LOG_STDOUT);
    uint64_t before = sink->lost, lost = 0;
    log_sink_flush(sink);
    if (before && sink->lost == before && !atomic_load_explicit(&sink->filled, memory_order_relaxed)) {
        lost = before;
        sink->lost = 0;
    }
    unlock(sink);
    return lost;
}

static bool filled(enum log_stream stream)
{
    return atomic_load_explicit(&sinks[stream].filled, memory_order_relaxed);
}

static void tell_of_access(uint64_t lost)
{
    if (lost) {
        log_print(CASGI_LOG_WARNING, "%llu access log lines lost", (unsigned long long)lost);
    }
}

void log_flush(void)
{
    if (filled(LOG_STDOUT)) {
        tell_of_access(flush_access());
    }
    if (filled(LOG_STDERR)) {
        struct log_sink *sink = lock(LOG_STDERR);
        log_sink_flush(sink);
        unlock(sink);
    }
}

bool log_pending(void)
{
    return filled(LOG_STDERR) || filled(LOG_STDOUT);
}

void log_finish(void)
{
    struct log_sink *sink = lock(LOG_STDOUT);
    log_sink_drain(sink, DRAIN_MS);
    uint64_t lost = sink->lost;
    sink->lost = 0;
    unlock(sink);
    tell_of_access(lost);
    sink = lock(LOG_STDERR);
    log_sink_drain(sink, DRAIN_MS);
    add_notice();
    log_sink_drain(sink, DRAIN_MS);
    unlock(sink);
}
