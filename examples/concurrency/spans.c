#include "concurrency.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_uint order; /* atomic, as threads count, too */

void span_begin(struct span *span)
{
    span->thread = syscall(SYS_gettid);
    span->begun = casgi_now();
    span->begin = atomic_fetch_add(&order, 1);
}

void span_end(struct span *span)
{
    span->end = atomic_fetch_add(&order, 1);
    span->ended = casgi_now();
}

int spans_send(casgi_send_t *send, const struct span *spans, size_t count)
{
    char text[1024] = "[";
    size_t size = 1;
    for (size_t i = 0; i < count && size < sizeof(text) - 2; i++) {
        int added = snprintf(text + size, sizeof(text) - size - 2,
                             "%s{\"begin\":%u,\"end\":%u,\"begun\":%llu,\"ended\":%llu,\"thread\":%ld}",
                             i ? ",\n " : "", spans[i].begin, spans[i].end, (unsigned long long)spans[i].begun,
                             (unsigned long long)spans[i].ended, spans[i].thread);
        if (added < 0 || (size_t)added >= sizeof(text) - size - 2) {
            return CASGI_ETOOBIG;
        }
        size += (size_t)added;
    }
    text[size] = ']';
    text[size + 1] = '\n';
    return casgi_respond_bytes(send, 200, "application/json", text, size + 2);
}
