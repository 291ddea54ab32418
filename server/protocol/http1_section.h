/* protocol/http1_section.h: header sections (RFC 9112, section 2.1: the field lines and the empty line) that came
 * before.
 *
 * Most clients send the same one with every request of a connection. What it says depends on nothing but its bytes: one
 * that came twice is kept with what was found in it, and from then on compared instead of parsed. Only those of
 * HTTP/1.1, of ordinary size, that were not refused. A connection knows its last one by a tag; others are found by a
 * hash of all their bytes, so that trying does not tell how another client's begins. All [loop]. */
#pragma once

#include "protocol/http1.h"
#include "protocol/http1_head.h"

#define HTTP1_SECTION_MOST 1536 /* bytes */
#define HTTP1_SECTION_FIELDS 32

/* Positions in the section. */
struct http1_section_field {
    uint16_t name;
    uint16_t name_len;
    uint16_t value;
    uint16_t value_len;
};

struct http1_section {
    uint64_t hash;
    size_t size;
    size_t field_count;
    size_t host; /* index of the field */
    struct http1_facts facts;
    struct http1_section_field fields[HTTP1_SECTION_FIELDS];
    char raw[HTTP1_SECTION_MOST];  /* as received */
    char text[HTTP1_SECTION_MOST]; /* as a scope shows it: names in lower case, a NUL behind each name and value */
};

/* One that was just parsed. */
struct http1_section_parsed {
    uint64_t hash;
    const char *raw;
    const char *text;
    size_t size;                  /* of both */
    const casgi_header_t *fields; /* into text */
    size_t field_count;
    const casgi_header_t *host; /* of them */
    const struct http1_facts *facts;
};

void http1_sections_init(struct http1_sections *sections);

/* The one of this tag (http1_facts.section), if data[0..size) begins with a request line of HTTP/1.1 and it; else NULL.
 * *out_head: how many bytes both are. */
const struct http1_section *http1_section_again(const struct http1_sections *sections, uint16_t tag, const char *data,
                                                size_t size, size_t *out_head);

/* The one that is raw[0..size), NULL: it is not kept. *out_hash: for http1_section_note; of one too large to be kept 0,
 * as that takes an eighth of the time of parsing it. */
const struct http1_section *http1_section_find(const struct http1_sections *sections, const char *raw, size_t size,
                                               uint64_t *out_hash);

/* Keeps it, in the place of another, if it came before. */
void http1_section_note(struct http1_sections *sections, const struct http1_section_parsed *parsed);

void http1_sections_release(struct http1_sections *sections);
