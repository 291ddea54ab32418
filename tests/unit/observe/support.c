#include "support.h"

#include "base/log.h"
#include "support/capture.h"

#include <regex.h>
#include <string.h>

static struct capture out, err;

void sample(struct exchange *ex)
{
    static const casgi_header_t headers[] = {
        CASGI_HEADER("host", "localhost"),
        CASGI_HEADER("user-agent", "curl/\"8\""),
        CASGI_HEADER("authorization", "Bearer hunter2"),
    };
    memset(ex, 0, sizeof(*ex));
    ex->scope.type = CASGI_SCOPE_HTTP;
    ex->scope.type_name = casgi_str("http");
    ex->scope.http_version = casgi_str("1.1");
    ex->scope.method = casgi_str("GET");
    ex->scope.path = ex->scope.raw_path = casgi_str("/x");
    ex->scope.query_string = casgi_str("y");
    ex->scope.root_path = casgi_str("");
    ex->scope.client = (casgi_address_t){ casgi_str("127.0.0.1"), 51234, 0 };
    ex->scope.headers = headers;
    ex->scope.header_count = sizeof(headers) / sizeof(headers[0]);
    ex->scope.request_id = casgi_str("abc");
    ex->record =
        (struct exchange_record){ .began = 1000000, .ended = 1000215, .status = 200, .bytes_in = 5, .bytes_out = 13 };
}

void log_take(int level, bool json)
{
    struct log_options options = { level, json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT, -1 };
    capture_pipe(&out, 1);
    capture_pipe(&err, 2);
    log_setup(&options);
}

const char *log_taken(int fd)
{
    static char text[65536], unread[65536];
    log_flush();
    (void)capture_read(fd == 1 ? &out : &err, text, sizeof(text));
    (void)capture_read(fd == 1 ? &err : &out, unread, sizeof(unread));
    capture_end(&out);
    capture_end(&err);
    return text;
}

void assert_matches(const char *text, const char *pattern)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    int rc = regexec(&regex, text, 0, NULL, 0);
    regfree(&regex);
    if (rc) {
        print_error("\"%s\" does not match %s\n", text, pattern);
    }
    assert_int_equal(rc, 0);
}
