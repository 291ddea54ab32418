#include "protocol/http1_section.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define LINE_END " HTTP/1.1\r"

static size_t slot_of(uint64_t hash)
{
    return hash % HTTP1_SECTION_SLOTS;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static uint64_t hash_of(const struct http1_sections *sections, const char *raw, size_t size)
{
    uint64_t hash = sections->seed ^ size, word;
    size_t at = 0;
    for (; size - at >= sizeof word; at += sizeof word) {
        memcpy(&word, raw + at, sizeof word);
        hash = mix(hash, word);
    }
    word = 0;
    memcpy(&word, raw + at, size - at);
    return mix(hash, word);
}

void http1_sections_init(struct http1_sections *sections)
{
    *sections = (struct http1_sections){ .seed = 0 };
    (void)getrandom(&sections->seed, sizeof sections->seed, GRND_NONBLOCK); /* if there is none yet, then without */
}

const struct http1_section *http1_section_again(const struct http1_sections *sections, uint16_t tag, const char *data,
                                                size_t size, size_t *out_head)
{
    enum { END = sizeof LINE_END - 1 };
    const struct http1_section *section = sections->slots[slot_of(tag)];
    if (!section || (uint16_t)section->hash != tag) {
        return NULL;
    }
    const char *lf = memchr(data, '\n', size);
    if (!lf || lf - data < END || memcmp(lf - END, LINE_END, END) != 0) {
        return NULL;
    }
    size_t line = (size_t)(lf + 1 - data);
    if (size - line < section->size || memcmp(lf + 1, section->raw, section->size) != 0) {
        return NULL;
    }
    *out_head = line + section->size;
    return section;
}

const struct http1_section *http1_section_find(const struct http1_sections *sections, const char *raw, size_t size,
                                               uint64_t *out_hash)
{
    *out_hash = 0;
    if (size > HTTP1_SECTION_MOST) {
        return NULL;
    }
    *out_hash = hash_of(sections, raw, size);
    const struct http1_section *section = sections->slots[slot_of(*out_hash)];
    bool same = section && section->hash == *out_hash && section->size == size && !memcmp(section->raw, raw, size);
    return same ? section : NULL;
}

static void fill(struct http1_section *section, const struct http1_section_parsed *parsed)
{
    section->hash = parsed->hash;
    section->size = parsed->size;
    section->field_count = parsed->field_count;
    section->host = (size_t)(parsed->host - parsed->fields);
    section->facts = *parsed->facts;
    memcpy(section->raw, parsed->raw, parsed->size);
    memcpy(section->text, parsed->text, parsed->size);
    for (size_t i = 0; i < parsed->field_count; i++) {
        const casgi_header_t *field = &parsed->fields[i];
        section->fields[i] = (struct http1_section_field){
            (uint16_t)(field->name.ptr - parsed->text),
            (uint16_t)field->name.len,
            (uint16_t)(field->value.ptr - parsed->text),
            (uint16_t)field->value.len,
        };
    }
}

void http1_section_note(struct http1_sections *sections, const struct http1_section_parsed *parsed)
{
    size_t slot = slot_of(parsed->hash);
    if (parsed->size > HTTP1_SECTION_MOST || parsed->field_count > HTTP1_SECTION_FIELDS) {
        return;
    }
    if (sections->noted[slot] != parsed->hash) {
        sections->noted[slot] = parsed->hash;
        return;
    }
    if (!sections->slots[slot]) {
        sections->slots[slot] = malloc(sizeof *sections->slots[slot]); /* without memory it is parsed again */
    }
    if (sections->slots[slot]) {
        fill(sections->slots[slot], parsed);
    }
}

void http1_sections_release(struct http1_sections *sections)
{
    for (size_t i = 0; i < HTTP1_SECTION_SLOTS; i++) {
        free(sections->slots[i]);
        sections->slots[i] = NULL;
    }
}
