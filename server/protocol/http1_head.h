/* protocol/http1_head.h: one whole request head into a scope. */
#pragma once

#include "exchange/exchange.h"
#include "protocol/http1_scan.h"

/* What the head says of the message and the connection. */
struct http1_facts {
    int64_t content_length; /* -1: none said */
    bool chunked;
    bool http10;
    bool keep_alive;      /* the client's wish, with the version's default */
    bool close;           /* it said "connection: close" */
    bool expect_continue; /* "Expect: 100-continue", and a body follows */
    bool expect_other;    /* an expectation we do not know: 417 */
    uint16_t section;     /* tag of the header section, for http1_section_again */
};

struct http1_section;
struct http1_sections;

/* Once, before the first http1_head_parse. */
void http1_head_setup(void);

/* Copies the head (which http1_scan found whole: `size` bytes from the request line to the empty line, with `lines`
 * lines) into the exchange's arena and fills the scope: version, method, target, headers. root_path must be set. A
 * header section that came before is looked up in `sections`; `known`: it is this one (http1_section_again), or NULL.
 * 0; CASGI_EINVAL: *out_fault, its offset from `head`; CASGI_ENOMEM. */
int http1_head_parse(struct exchange *ex, const char *head, size_t size, size_t lines, struct http1_sections *sections,
                     const struct http1_section *known, struct http1_facts *out_facts, struct http1_fault *out_fault);
