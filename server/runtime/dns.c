#include "runtime/dns.h"

#include "base/error.h"
#include "runtime/internal.h"
#include "runtime/threads.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

/* A question; in memory of its own, since it may be abandoned. */
struct question {
    struct name_addresses answer;
    char host[];
};

static int code_of(int failure)
{
    switch (failure) {
    case 0:
        return 0;
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
        return CASGI_ENOENT;
    case EAI_AGAIN:
        return CASGI_EAGAIN;
    case EAI_MEMORY:
        return CASGI_ENOMEM;
    case EAI_SYSTEM:
        return error_from_errno(errno);
    default:
        return CASGI_EIO;
    }
}

static void take(const struct addrinfo *found, struct name_addresses *out)
{
    out->count = 0;
    for (; found && out->count < NAME_ADDRESSES_MAX; found = found->ai_next) {
        if (found->ai_family == AF_INET || found->ai_family == AF_INET6) {
            memcpy(&out->items[out->count++], found->ai_addr, found->ai_addrlen);
        }
    }
}

static int ask(const char *host, int flags, struct name_addresses *out)
{
    struct addrinfo hints = { .ai_flags = flags, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    int rc = code_of(getaddrinfo(host, NULL /* service */, &hints, &found));
    if (rc) {
        return rc;
    }
    take(found, out);
    freeaddrinfo(found);
    return out->count ? 0 : CASGI_ENOENT;
}

static int on_thread(void *arg)
{
    struct question *question = arg;
    return ask(question->host, 0, &question->answer);
}

static int ask_on_thread(const char *host, struct name_addresses *out)
{
    size_t size = strlen(host) + 1;
    struct question *question = malloc(sizeof(*question) + size);
    int result = 0;
    if (!question) {
        return CASGI_ENOMEM;
    }
    memcpy(question->host, host, size);
    int rc = thread_run_owned(THREAD_NAMES, on_thread, question, free, &result);
    if (rc) {
        return rc;
    }
    if (!result) {
        *out = question->answer;
    }
    free(question);
    return result;
}

int name_resolve(const char *host, int port, struct name_addresses *out_addresses)
{
    struct task *task = task_running();
    if (!task) {
        return CASGI_EWRONGTHREAD;
    }
    int rc = !host || !*host || port < 0 || port > 65535 ? CASGI_EINVAL : task_enter(task);
    if (rc) {
        return rc;
    }
    if (ask(host, AI_NUMERICHOST, out_addresses)) {
        rc = ask_on_thread(host, out_addresses);
    }
    for (size_t i = 0; !rc && i < out_addresses->count; i++) {
        out_addresses->items[i].ipv4.sin_port = htons((uint16_t)port); /* IPv6's lies at the same place */
    }
    return rc;
}

_Static_assert(offsetof(struct sockaddr_in, sin_port) == offsetof(struct sockaddr_in6, sin6_port), "one place");

void name_format(const struct sockaddr *address, char text[static NAME_TEXT_MAX], casgi_address_t *out_address)
{
    const union socket_address *any = (const void *)address;
    *out_address = (casgi_address_t){ .port = -1 };
    if (address->sa_family != AF_INET && address->sa_family != AF_INET6) {
        return;
    }
    if (getnameinfo(address, socket_address_size(any), text, NAME_TEXT_MAX, NULL /* service */, 0, NI_NUMERICHOST)) {
        return;
    }
    out_address->host = casgi_str(text);
    out_address->port = ntohs(any->ipv4.sin_port);
}

int name_resolve_texts(const char *host, casgi_address_t **out_addresses, size_t *out_count)
{
    struct name_addresses found;
    int rc = name_resolve(host, 0, &found);
    if (rc) {
        return rc;
    }
    struct arena *arena = task_running()->arena;
    casgi_address_t *addresses = arena_alloc(arena, found.count * sizeof(*addresses));
    char(*texts)[NAME_TEXT_MAX] = arena_alloc(arena, found.count * sizeof(*texts));
    if (!addresses || !texts) {
        return CASGI_ENOMEM;
    }
    for (size_t i = 0; i < found.count; i++) {
        name_format(&found.items[i].any, texts[i], &addresses[i]);
        addresses[i].port = -1;
    }
    *out_addresses = addresses;
    *out_count = found.count;
    return 0;
}
