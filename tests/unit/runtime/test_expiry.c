#include "runtime/internal.h"
#include "support.h"

struct noted {
    struct expiry expiry;
    uint64_t at; /* when it fired; 0: not yet */
};

static struct loop *the_loop;
static struct expiry_list the_list;
static int fired;

static void note(struct expiry *item)
{
    fired++;
    LIST_ENTRY(item, struct noted, expiry)->at = loop_now(the_loop);
}

static int setup(void **state)
{
    int rc = setup_loop(state);
    the_loop = *state;
    fired = 0;
    expiry_list_init(&the_list, the_loop, 1000000, note);
    return rc;
}

static int teardown(void **state)
{
    expiry_list_release(&the_list);
    return teardown_loop(state);
}

static struct noted fresh(void)
{
    struct noted item = { .at = 0 };
    return item;
}

static void test_expiry__fires_not_early_and_at_most_a_quarter_late(void **state)
{
    uint64_t begin = loop_clock();
    struct noted first = fresh(), second = fresh();
    expiry_init(&first.expiry);
    expiry_init(&second.expiry);
    expiry_set(&the_list, &first.expiry);
    loop_advance(*state, 100000);
    expiry_set(&the_list, &second.expiry);
    loop_advance(*state, 2000000);
    assert_in_range(first.at - begin, 1000000, 1250000);
    assert_in_range(second.at - begin, 1100000, 1350000);
}

static void test_expiry__setting_it_again_moves_it(void **state)
{
    struct noted item = fresh();
    expiry_init(&item.expiry);
    for (int i = 0; i < 10; i++) {
        expiry_set(&the_list, &item.expiry);
        loop_advance(*state, 900000);
    }
    assert_int_equal(fired, 0);
    loop_advance(*state, 400000);
    assert_int_equal(fired, 1);
}

static void test_expiry__a_cleared_one_does_not_fire(void **state)
{
    struct noted item = fresh();
    expiry_init(&item.expiry);
    expiry_set(&the_list, &item.expiry);
    expiry_clear(&item.expiry);
    loop_advance(*state, 5000000);
    assert_int_equal(fired, 0);
}

static void test_expiry__duration_zero_never_fires(void **state)
{
    struct expiry_list never;
    struct noted item = fresh();
    expiry_init(&item.expiry);
    expiry_list_init(&never, *state, 0, note);
    expiry_set(&never, &item.expiry);
    loop_advance(*state, UINT64_C(3600000000));
    assert_int_equal(fired, 0);
    assert_true(list_empty(&item.expiry.node));
    expiry_list_release(&never);
}

static void test_expiry__the_tick_stops_when_the_lists_are_empty(void **state)
{
    struct loop *loop = *state;
    struct noted item = fresh();
    expiry_init(&item.expiry);
    expiry_set(&the_list, &item.expiry);
    assert_int_not_equal(loop->tick.index, 0);
    expiry_clear(&item.expiry);
    loop_advance(loop, 2000000);
    assert_int_equal(loop->tick.index, 0);
    assert_true(list_empty(&loop->expiry_lists));
}

static void test_expiry__a_shorter_list_brings_the_tick_forward(void **state)
{
    struct expiry_list brief;
    struct noted item = fresh(), other = fresh();
    uint64_t begin = loop_clock();
    expiry_init(&item.expiry);
    expiry_init(&other.expiry);
    expiry_list_init(&brief, *state, 40000, note);
    expiry_set(&the_list, &other.expiry);
    expiry_set(&brief, &item.expiry);
    loop_advance(*state, 60000);
    assert_in_range(item.at - begin, 40000, 50000);
    expiry_clear(&other.expiry);
    expiry_list_release(&brief);
}

static void set_again(struct expiry *item)
{
    fired++;
    expiry_set(&the_list, item);
}

static void test_expiry__a_callback_may_set_it_again(void **state)
{
    struct noted item = fresh();
    expiry_init(&item.expiry);
    the_list.fn = set_again;
    expiry_set(&the_list, &item.expiry);
    loop_advance(*state, 1250000);
    assert_int_equal(fired, 1);
    loop_advance(*state, 1250000);
    assert_int_equal(fired, 2);
    expiry_clear(&item.expiry);
}

static struct noted neighbour;

static void clear_neighbour(struct expiry *item)
{
    (void)item;
    fired++;
    expiry_clear(&neighbour.expiry);
}

static void test_expiry__a_callback_may_clear_one_that_is_due(void **state)
{
    struct noted item = fresh();
    expiry_init(&item.expiry);
    expiry_init(&neighbour.expiry);
    the_list.fn = clear_neighbour;
    expiry_set(&the_list, &item.expiry);
    expiry_set(&the_list, &neighbour.expiry);
    loop_advance(*state, 2000000);
    assert_int_equal(fired, 1);
}

#define EXPIRY_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EXPIRY_TEST(test_expiry__fires_not_early_and_at_most_a_quarter_late),
        EXPIRY_TEST(test_expiry__setting_it_again_moves_it),
        EXPIRY_TEST(test_expiry__a_cleared_one_does_not_fire),
        EXPIRY_TEST(test_expiry__duration_zero_never_fires),
        EXPIRY_TEST(test_expiry__the_tick_stops_when_the_lists_are_empty),
        EXPIRY_TEST(test_expiry__a_shorter_list_brings_the_tick_forward),
        EXPIRY_TEST(test_expiry__a_callback_may_set_it_again),
        EXPIRY_TEST(test_expiry__a_callback_may_clear_one_that_is_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
