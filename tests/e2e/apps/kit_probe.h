/* What the probes of the kit share: the names of codes, and the records of their applications. */
#pragma once

#include <casgi/casgi.h>

/* A probe defines them, and ends with CASGI_MODULE(..., &record, &cancelled). */
static casgi_app_t *create(const casgi_host_t *host, int argc, char **argv, casgi_error_t *out_error);
static void destroy(casgi_app_t *app);

static const casgi_app_record_t record = { "app", NULL, create, destroy, CASGI_APP_HTTP, 0, { 0 } };
static const casgi_app_record_t cancelled = {
    "cancelled", NULL, create, destroy, CASGI_APP_HTTP | CASGI_APP_CANCEL_ON_DISCONNECT, 0, { 0 },
};

static const char *name_of(int code)
{
    switch (code) {
#define NAME(name, number, text) \
    case (number):               \
        return #name;
        CASGI_ERROR_MAP(NAME)
    default:
        return "?";
    }
}
