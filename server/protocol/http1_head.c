#include "protocol/http1_head.h"

#include "base/httpchars.h"
#include "base/httpfield.h"
#include "protocol/http1_field.h"
#include "protocol/http1_section.h"

#include <llhttp.h>
#include <string.h>

/* The request line is split here, as llhttp knows only the methods of its list and would let an unknown one go no
 * further; the field lines are llhttp's. It gets them whole, in one piece, so that each name and each value is one
 * span. */
struct head_parser {
    struct exchange *ex;
    char *text; /* the head, in the exchange's arena */
    size_t size;
    casgi_header_t *fields;
    size_t field_count;
    size_t field_room;
    casgi_str_t method;
    casgi_str_t target;
    casgi_str_t authority; /* of a target in absolute form; ptr NULL: none */
    casgi_header_t *host;
    struct http1_facts *facts;
    struct http1_fault *fault;
};

/* A parser that has just read a request line: copied for every head. */
static llhttp_t behind_request_line;

static int refuse(struct head_parser *head, const char *at, const char *reason)
{
    head->fault->status = 400;
    head->fault->offset = (size_t)(at - head->text);
    head->fault->reason = reason;
    return CASGI_EINVAL;
}

static int on_name(llhttp_t *parser, const char *at, size_t size)
{
    struct head_parser *head = parser->data;
    if (head->field_count == head->field_room) {
        return HPE_USER;
    }
    casgi_header_t *field = &head->fields[head->field_count++];
    *field = (casgi_header_t){ .name = { at, size }, .value = { at + size, 0 } };
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t size)
{
    struct head_parser *head = parser->data;
    head->fields[head->field_count - 1].value = (casgi_str_t){ at, size };
    return 0;
}

static const llhttp_settings_t settings = { .on_header_field = on_name, .on_header_value = on_value };

void http1_head_setup(void)
{
    static const char line[] = "GET / HTTP/1.1\r\n";
    llhttp_init(&behind_request_line, HTTP_REQUEST, &settings);
    (void)llhttp_execute(&behind_request_line, line, sizeof line - 1);
}

/* ---- the request line ---- */

static int parse_version(struct head_parser *head, const char *at)
{
    bool whole = head->text + head->size - at >= (ptrdiff_t)sizeof "HTTP/1.1\r\n" - 1;
    bool http11 = whole && memcmp(at, "HTTP/1.1", 8) == 0;
    if (!whole || (!http11 && memcmp(at, "HTTP/1.0", 8) != 0) || memcmp(at + 8, "\r\n", 2) != 0) {
        return refuse(head, at, "the version is neither HTTP/1.1 nor HTTP/1.0");
    }
    static const casgi_str_t versions[2] = { CASGI_STR("1.0"), CASGI_STR("1.1") };
    head->ex->scope.http_version = versions[http11];
    head->facts->http10 = !http11;
    head->facts->keep_alive = http11;
    return 0;
}

/* The text ends in a NUL, which is of no class, so that the loops end. *out_fields: behind the line. */
static int parse_request_line(struct head_parser *head, char **out_fields)
{
    char *at = head->text;
    while (http_char_is(*at, HTTP_TCHAR)) {
        at++;
    }
    head->method = (casgi_str_t){ head->text, (size_t)(at - head->text) };
    if (head->method.len == 0 || *at != ' ') {
        return refuse(head, at, "the method is not a token");
    }
    char *method_end = at++;
    head->target.ptr = at;
    while (http_char_is(*at, HTTP_TARGET)) {
        at++;
    }
    head->target.len = (size_t)(at - head->target.ptr);
    if (head->target.len == 0) {
        return refuse(head, at, "no request target behind one space");
    }
    if (*at != ' ') {
        return refuse(head, at, "bad byte in the request target");
    }
    *method_end = *at = '\0';
    *out_fields = at + 1 + sizeof "HTTP/1.1\r\n" - 1;
    return parse_version(head, at + 1);
}

/* ---- the target (RFC 9112, section 3.2) ---- */

static size_t scheme_length(casgi_str_t target)
{
    static const casgi_str_t schemes[2] = { CASGI_STR("http://"), CASGI_STR("https://") };
    for (int i = 0; i < 2; i++) {
        casgi_str_t begin = { target.ptr, schemes[i].len };
        if (target.len > begin.len && http_field_is(begin, schemes[i])) {
            return begin.len;
        }
    }
    return 0;
}

/* "http://host/path": leaves the path as the target and keeps the authority for the host field. */
static int split_absolute(struct head_parser *head, size_t scheme)
{
    casgi_str_t rest = { head->target.ptr + scheme, head->target.len - scheme };
    size_t end = strcspn(rest.ptr, "/?");
    head->authority = (casgi_str_t){ rest.ptr, end };
    if (end == 0 || !http1_field_host(head->authority)) {
        return refuse(head, rest.ptr, "bad authority in the request target");
    }
    if (end == rest.len && casgi_str_equal(head->method, (casgi_str_t)CASGI_STR("OPTIONS"))) {
        head->target = (casgi_str_t)CASGI_STR("*");
        return 0;
    }
    if (end < rest.len && rest.ptr[end] == '/') {
        head->authority = arena_copy(&head->ex->arena, head->authority);
        head->target = (casgi_str_t){ rest.ptr + end, rest.len - end };
        return head->authority.ptr ? 0 : CASGI_ENOMEM;
    }
    char *path = arena_alloc(&head->ex->arena, rest.len - end + 2);
    head->authority = arena_copy(&head->ex->arena, head->authority);
    if (!path || !head->authority.ptr) {
        return CASGI_ENOMEM;
    }
    path[0] = '/';
    memcpy(path + 1, rest.ptr + end, rest.len - end + 1);
    head->target = (casgi_str_t){ path, rest.len - end + 1 };
    return 0;
}

static int parse_target_form(struct head_parser *head)
{
    if (casgi_str_equal(head->target, (casgi_str_t)CASGI_STR("*")) &&
        casgi_str_equal(head->method, (casgi_str_t)CASGI_STR("OPTIONS"))) {
        return 0;
    }
    size_t scheme = scheme_length(head->target);
    return scheme ? split_absolute(head, scheme)
                  : refuse(head, head->target.ptr, "the request target is neither a path nor a URL");
}

static int set_target(struct head_parser *head)
{
    const char *at = head->target.ptr;
    if (casgi_str_equal(head->method, (casgi_str_t)CASGI_STR("CONNECT"))) { /* of a path, too: its answer has no end */
        return refuse(head, head->text, "CONNECT is not supported");
    }
    int rc = head->target.ptr[0] == '/' ? 0 : parse_target_form(head);
    if (rc == 0) {
        rc = exchange_set_target(head->ex, head->target);
        if (rc == CASGI_EINVAL) {
            rc = refuse(head, at, "bad escape in the path, or not UTF-8");
        }
    }
    return rc;
}

/* ---- the fields ---- */

static int take_length(struct head_parser *head, casgi_str_t value)
{
    if (head->facts->content_length >= 0) {
        return refuse(head, value.ptr, "more than one content-length");
    }
    return http_field_length(value, &head->facts->content_length) ? 0 : refuse(head, value.ptr, "bad content-length");
}

static int take_coding(struct head_parser *head, casgi_str_t value)
{
    if (head->facts->http10) {
        return refuse(head, value.ptr, "transfer-encoding in HTTP/1.0");
    }
    if (head->facts->chunked || !http_field_is(value, (casgi_str_t)CASGI_STR("chunked"))) {
        return refuse(head, value.ptr, "the transfer-encoding is not exactly one \"chunked\"");
    }
    head->facts->chunked = true;
    return 0;
}

static int take_host(struct head_parser *head, casgi_header_t *field)
{
    if (head->host) {
        return refuse(head, field->value.ptr, "more than one host");
    }
    head->host = field;
    return http1_field_host(field->value) ? 0 : refuse(head, field->value.ptr, "bad host");
}

static void take_connection(struct head_parser *head, casgi_str_t value)
{
    struct http1_facts *facts = head->facts;
    for (casgi_str_t option; http_field_next(&value, &option);) {
        if (http_field_is(option, (casgi_str_t)CASGI_STR("close"))) {
            facts->close = true;
            facts->keep_alive = false;
        } else if (!facts->close && http_field_is(option, (casgi_str_t)CASGI_STR("keep-alive"))) {
            facts->keep_alive = true;
        }
    }
}

static void take_expect(struct head_parser *head, casgi_str_t value)
{
    casgi_str_t member;
    while (!head->facts->http10 && http_field_next(&value, &member)) {
        bool known = http_field_is(member, (casgi_str_t)CASGI_STR("100-continue"));
        head->facts->expect_continue |= known;
        head->facts->expect_other |= !known;
    }
}

static bool named(const casgi_header_t *field, const char *name, size_t size)
{
    return memcmp(field->name.ptr, name, size) == 0;
}

/* Lengths tell the names apart before any byte is compared. */
static int take_field(struct head_parser *head, casgi_header_t *field)
{
    switch (field->name.len) {
    case 4:
        return named(field, "host", 4) ? take_host(head, field) : 0;
    case 6:
        if (named(field, "expect", 6)) {
            take_expect(head, field->value);
        }
        return 0;
    case 10:
        if (named(field, "connection", 10)) {
            take_connection(head, field->value);
        }
        return 0;
    case 14:
        return named(field, "content-length", 14) ? take_length(head, field->value) : 0;
    case 17:
        return named(field, "transfer-encoding", 17) ? take_coding(head, field->value) : 0;
    default:
        return 0;
    }
}

/* Lowers the name, trims and terminates both. Nothing but one colon, blanks and one CRLF may lie between the spans
 * llhttp has found: whatever it would tolerate there (it depends on how it was built) is refused. *out_next: the next
 * line. */
static int finish_field(struct head_parser *head, casgi_header_t *field, char *line, char **out_next)
{
    char *name_end = line + field->name.len;
    if (field->name.ptr != line || *name_end != ':' || !http_lower_name(line, field->name)) {
        return refuse(head, line, "bad header field name");
    }
    char *begin = name_end + 1;
    while (*begin == ' ' || *begin == '\t') {
        begin++;
    }
    char *end = field->value.len ? begin + field->value.len : begin;
    if ((field->value.len && field->value.ptr != begin) || end[0] != '\r' || end[1] != '\n') {
        return refuse(head, begin, "bad header field value");
    }
    *out_next = end + 2;
    while (end > begin && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    *name_end = *end = '\0';
    field->value = (casgi_str_t){ begin, (size_t)(end - begin) };
    return take_field(head, field);
}

/* Where the names and values are. */
static bool find_fields(struct head_parser *head, const char *fields, const char *end, llhttp_t *parser)
{
    *parser = behind_request_line;
    parser->data = head;
    head->field_count = 0;
    return llhttp_execute(parser, fields, (size_t)(end - fields)) == HPE_OK;
}

/* Tabs before the ends of lines become spaces, as llhttp refuses a tab behind a length, where blanks may stand (RFC
 * 9112, section 5.1). false: there was none. */
static __attribute__((noinline)) bool blank_tabs(char *fields, const char *end)
{
    bool any = false;
    char *from = fields;
    for (char *cr; (cr = memchr(from, '\r', (size_t)(end - from))); from = cr + 1) {
        for (char *c = cr; c > from && (c[-1] == ' ' || c[-1] == '\t'); c--) {
            any |= c[-1] == '\t';
            c[-1] = ' ';
        }
    }
    return any;
}

static int parse_fields(struct head_parser *head, char *fields)
{
    char *end = head->text + head->size - 2; /* the empty line stays out: llhttp need not finish the message */
    llhttp_t parser;
    if (!find_fields(head, fields, end, &parser) &&
        (!blank_tabs(fields, end) || !find_fields(head, fields, end, &parser))) {
        return refuse(head, llhttp_get_error_pos(&parser), llhttp_get_error_reason(&parser));
    }
    int rc = 0;
    char *line = fields;
    for (size_t i = 0; rc == 0 && i < head->field_count; i++) {
        rc = finish_field(head, &head->fields[i], line, &line);
    }
    if (rc == 0 && line != end) {
        rc = refuse(head, line, "bad header line");
    }
    return rc;
}

/* RFC 9112, sections 3.2 and 6.3. */
static int check_together(struct head_parser *head)
{
    struct http1_facts *facts = head->facts;
    if (!head->host && !facts->http10) {
        return refuse(head, head->text + head->size - 2, "no host");
    }
    if (facts->chunked && facts->content_length >= 0) {
        return refuse(head, head->text + head->size - 2, "both content-length and transfer-encoding");
    }
    if (!facts->chunked && facts->content_length <= 0) {
        facts->expect_continue = false;
    }
    return 0;
}

/* ---- a header section that came before ---- */

static void recall(struct head_parser *head, const struct http1_section *section, char *text)
{
    memcpy(text, section->text, section->size);
    for (size_t i = 0; i < section->field_count; i++) {
        const struct http1_section_field *field = &section->fields[i];
        head->fields[i] = (casgi_header_t){ .name = { text + field->name, field->name_len },
                                            .value = { text + field->value, field->value_len } };
    }
    head->field_count = section->field_count;
    head->host = &head->fields[section->host];
    *head->facts = section->facts;
}

static int parse_section(struct head_parser *head, const char *raw, char *text, struct http1_sections *sections)
{
    struct http1_section_parsed parsed = { .raw = raw, .text = text, .size = (size_t)(head->text + head->size - text) };
    if (!head->facts->http10) {
        const struct http1_section *known = http1_section_find(sections, raw, parsed.size, &parsed.hash);
        if (known) {
            recall(head, known, text);
            return 0;
        }
    }
    int rc = parse_fields(head, text);
    if (rc == 0) {
        rc = check_together(head);
    }
    if (rc == 0 && !head->facts->http10) {
        head->facts->section = (uint16_t)parsed.hash;
        parsed.fields = head->fields;
        parsed.field_count = head->field_count;
        parsed.host = head->host;
        parsed.facts = head->facts;
        http1_section_note(sections, &parsed);
    }
    return rc;
}

/* The authority of an absolute target replaces what the host field says (RFC 9112, section 3.2.2). */
static void set_host(struct head_parser *head)
{
    if (!head->host) {
        head->host = &head->fields[head->field_count++];
        *head->host = (casgi_header_t){ .name = CASGI_STR("host") };
    }
    head->host->value = head->authority;
}

static void fill_scope(struct head_parser *head)
{
    casgi_scope_t *scope = &head->ex->scope;
    if (head->authority.ptr) {
        set_host(head);
    }
    scope->method = head->method;
    scope->headers = head->fields;
    scope->header_count = head->field_count;
}

/* One by one: of an initialiser gcc makes a `rep stos`, which takes its time to begin. */
static inline void begin(struct head_parser *head, struct exchange *ex, char *text, size_t size)
{
    head->ex = ex;
    head->text = text;
    head->size = size;
    head->field_count = 0;
    head->authority.ptr = NULL;
    head->host = NULL;
}

int http1_head_parse(struct exchange *ex, const char *head_bytes, size_t size, size_t lines,
                     struct http1_sections *sections, const struct http1_section *known, struct http1_facts *out_facts,
                     struct http1_fault *out_fault)
{
    /* As many fields as lines behind the first, and one more for the host of an absolute target. */
    casgi_header_t *room = arena_alloc(&ex->arena, lines * sizeof *room + size + 1);
    if (!room) {
        return CASGI_ENOMEM;
    }
    char *text = memcpy(room + lines, head_bytes, size), *fields;
    text[size] = '\0';
    struct head_parser head;
    begin(&head, ex, text, size);
    head.fields = room;
    head.field_room = lines - 1;
    head.facts = out_facts;
    head.fault = out_fault;
    *out_facts = (struct http1_facts){ .content_length = -1 };
    int rc = parse_request_line(&head, &fields);
    if (rc == 0 && known) {
        recall(&head, known, fields);
    } else if (rc == 0) {
        rc = parse_section(&head, head_bytes + (fields - text), fields, sections);
    }
    if (rc == 0) {
        rc = set_target(&head);
    }
    if (rc == 0) {
        fill_scope(&head);
    }
    return rc;
}
