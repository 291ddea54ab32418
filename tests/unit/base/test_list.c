#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    int value;
    struct list node;
};

static void test_list__pops_in_the_order_of_appending(void **state)
{
    (void)state;
    struct list list;
    struct item items[3] = { { .value = 1 }, { .value = 2 }, { .value = 3 } };
    list_init(&list);
    for (int i = 0; i < 3; i++) {
        list_append(&list, &items[i].node);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(LIST_ENTRY(list_pop(&list), struct item, node)->value, i + 1);
    }
    assert_true(list_empty(&list));
    assert_null(list_pop(&list));
}

static void test_list__removing_takes_out_the_middle(void **state)
{
    (void)state;
    struct list list, a, b, c;
    list_init(&list);
    list_append(&list, &a);
    list_append(&list, &b);
    list_append(&list, &c);
    list_remove(&b);
    assert_ptr_equal(list_pop(&list), &a);
    assert_ptr_equal(list_pop(&list), &c);
    assert_null(list_pop(&list));
}

static void test_list__removing_twice_does_nothing(void **state)
{
    (void)state;
    struct list list, a;
    list_init(&list);
    list_init(&a);
    list_remove(&a);
    list_append(&list, &a);
    list_remove(&a);
    list_remove(&a);
    assert_true(list_empty(&list));
    assert_true(list_empty(&a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list__pops_in_the_order_of_appending),
        cmocka_unit_test(test_list__removing_takes_out_the_middle),
        cmocka_unit_test(test_list__removing_twice_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
