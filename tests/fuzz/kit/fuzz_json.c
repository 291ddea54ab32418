/* Any bytes as JSON: what is read is printed as cJSON prints it, and reads as the same again; what is refused is
 * refused within the text. */
#include "casgi/kit/json.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void **blocks; /* the arena: each holds the one before it */

static void *alloc(size_t size)
{
    void **block = malloc(sizeof(void *) * 2 + size);
    if (!block) {
        abort();
    }
    *block = blocks;
    blocks = block;
    return block + 2;
}

static void free_all(void)
{
    while (blocks) {
        void **next = *blocks;
        free(blocks);
        blocks = next;
    }
}

static void require(bool condition, const char *text)
{
    if (!condition) {
        (void)fprintf(stderr, "%s\n", text);
        abort();
    }
}

/* cJSON prints each of its numbers so that it is the same when read. */
static bool is_exact(const cJSON *value)
{
    char text[40];
    (void)snprintf(text, sizeof(text), "%1.15g", value->valuedouble);
    bool exact = !cJSON_IsNumber(value) || isinf(value->valuedouble) || strtod(text, NULL) == value->valuedouble;
    for (const cJSON *item = value->child; exact && item; item = item->next) {
        exact = is_exact(item);
    }
    return exact;
}

static bool is_same(const cJSON *a, const cJSON *b)
{
    bool nothing = cJSON_IsNumber(a) && isinf(a->valuedouble) && cJSON_IsNull(b);
    bool same = nothing || (a->type == b->type && a->valuedouble == b->valuedouble && !a->child == !b->child &&
                            (!cJSON_IsString(a) || strcmp(a->valuestring, b->valuestring) == 0) &&
                            !a->string == !b->string && (!a->string || strcmp(a->string, b->string) == 0));
    const cJSON *of_a = a->child, *of_b = b->child;
    for (; same && of_a && of_b; of_a = of_a->next, of_b = of_b->next) {
        same = is_same(of_a, of_b);
    }
    return same && !of_a == !of_b;
}

static void check_tree(const cJSON *document)
{
    casgi_str_t text;
    const cJSON *read;
    char *expected = cJSON_PrintUnformatted(document);
    require(casgi_json_print(document, &text) == 0 && expected, "it cannot be printed");
    require(strlen(text.ptr) == text.len, "its length is wrong");
    require(!is_exact(document) || strcmp(text.ptr, expected) == 0, "it is not printed as cJSON does");
    require(casgi_json_parse(text.ptr, text.len, &read, NULL) == 0, "what was printed cannot be read");
    require(is_same(document, read), "it reads differently");
    cJSON_free(expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const casgi_tasks_1_t tasks = { .alloc = alloc };
    casgi_json_error_t error;
    const cJSON *document;
    casgi_imports_.tasks = &tasks;
    char *text = alloc(size + 1);
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    if (casgi_json_parse(text, size, &document, &error) == 0) {
        check_tree(document);
    } else {
        require(error.code == CASGI_EINVAL && error.byte <= size && error.line > 0, "the refusal has no place");
    }
    free_all();
    return 0;
}
