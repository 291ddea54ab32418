/* Two applications; the words after the name steer them. */
#include <casgi/casgi.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int answer(casgi_app_t *self, const casgi_scope_t *scope, casgi_receive_t *receive, casgi_send_t *send)
{
    (void)self, (void)scope, (void)receive;
    return casgi_respond(send, 200, "text/plain", "good");
}

/* A journal in the test's memory, whose address is argv[1], and a letter, argv[2]. */
struct noted {
    casgi_app_t base;
    char *journal;
    char letter;
};

static casgi_app_t *create_noted(const casgi_host_t *host, int argc, char **argv, casgi_error_t *out_error)
{
    (void)host;
    if (argc > 1 && strcmp(argv[1], "fail") == 0) {
        (void)casgi_error_set(out_error, CASGI_EINVAL, "the teapot is empty");
        return NULL;
    }
    if (argc < 3) {
        return NULL;
    }
    struct noted *noted = calloc(1, sizeof(*noted));
    void *journal = NULL;
    (void)sscanf(argv[1], "%p", &journal);
    noted->base.call = answer;
    noted->journal = journal;
    noted->letter = argv[2][0];
    (void)strncat(noted->journal, "+", 2);
    (void)strncat(noted->journal, &noted->letter, 1);
    return &noted->base;
}

static void destroy_noted(casgi_app_t *app)
{
    struct noted *noted = (struct noted *)app;
    (void)strncat(noted->journal, "-", 2);
    (void)strncat(noted->journal, &noted->letter, 1);
    free(noted);
}

CASGI_APP_RECORD(plain, "app", answer, CASGI_APP_HTTP);
static const casgi_app_record_t noted_record = {
    "noted", "notes when it is made and ended", create_noted, destroy_noted, CASGI_APP_HTTP | CASGI_APP_LIFESPAN, 0,
    { 0 },
};
CASGI_MODULE("good", "1.2", &plain, &noted_record);
