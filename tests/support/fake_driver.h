/* support/fake_driver.h: a protocol that keeps what it is given in memory and does what the test tells it. */
#pragma once

#include "exchange/exchange.h"

#include <string.h>

#define FAKE_BODY_MAX 262144
#define FAKE_FIELDS_MAX 32

struct fake_field {
    char name[64];
    char value[128];
};

struct fake_driver {
    struct exchange_driver table; /* the test may take functions out, before fake_driver_exchange */
    struct exchange *ex;          /* NULL: none, or it is over */

    /* what the test decides */
    size_t room;    /* bytes that data and file take from now on; SIZE_MAX: all */
    int head_error; /* what head returns */
    int data_error; /* what data, file and trailers return */
    int inform_error;
    bool file_unsupported; /* file returns CASGI_ENOTSUP */
    void (*on_consumed)(struct fake_driver *self);

    /* what it was given */
    unsigned heads;
    int status;
    int64_t content_length;
    bool body_allowed;
    bool has_trailers;
    bool close;
    size_t field_count;
    struct fake_field fields[FAKE_FIELDS_MAX];
    unsigned informs;
    int inform_status;
    struct fake_field inform_field; /* the last */
    char body[FAKE_BODY_MAX];
    size_t body_size;
    unsigned writes; /* calls of data that took something, or the head alone */
    unsigned offers; /* calls of data and file */
    bool head_left;
    bool last;
    size_t trailer_count;
    struct fake_field trailers[FAKE_FIELDS_MAX];
    unsigned wanted;
    size_t consumed;
    unsigned ends;
    unsigned aborts;
    int abort_code;
    bool aborted_in_task;
};

void fake_driver_init(struct fake_driver *self);

/* An exchange of `host` with this driver; the method and target set. NULL: out of memory or a bad target. */
struct exchange *fake_driver_exchange(struct fake_driver *self, struct exchange_host *host, const char *method,
                                      const char *target);

/* The value of the response's field; NULL: none. */
const char *fake_driver_field(const struct fake_driver *self, const char *name);

/* How many fields of that name. */
size_t fake_driver_count(const struct fake_driver *self, const char *name);
