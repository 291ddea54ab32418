#include "support.h"

#include <stdlib.h>

struct noted {
    struct timer timer;
    int number;
};

static int fired[4096];
static size_t fired_count;
static struct loop *the_loop;

static void note(struct timer *timer)
{
    fired[fired_count++] = LIST_ENTRY(timer, struct noted, timer)->number;
}

static struct noted noted(int number)
{
    return (struct noted){ .timer = { .fn = note }, .number = number };
}

static int setup(void **state)
{
    int rc = setup_loop(state);
    fired_count = 0;
    the_loop = *state;
    return rc;
}

static void test_timer__fires_when_due_and_not_before(void **state)
{
    struct noted one = noted(1);
    assert_int_equal(timer_set(*state, &one.timer, 500), 0);
    loop_advance(*state, 499);
    assert_int_equal(fired_count, 0);
    loop_advance(*state, 1);
    assert_int_equal(fired_count, 1);
}

static void test_timer__fires_once(void **state)
{
    struct noted one = noted(1);
    assert_int_equal(timer_set(*state, &one.timer, 500), 0);
    loop_advance(*state, 5000);
    assert_int_equal(fired_count, 1);
    assert_int_equal(one.timer.index, 0);
}

static void test_timer__earlier_due_fires_first(void **state)
{
    struct noted late = noted(2), early = noted(1);
    assert_int_equal(timer_set(*state, &late.timer, 20), 0);
    assert_int_equal(timer_set(*state, &early.timer, 10), 0);
    loop_advance(*state, 100);
    assert_int_equal(fired[0], 1);
    assert_int_equal(fired[1], 2);
}

static void test_timer__of_two_due_at_once_the_first_set_fires_first(void **state)
{
    struct noted all[40];
    for (int i = 0; i < 40; i++) {
        all[i] = noted(i);
        assert_int_equal(timer_set(*state, &all[i].timer, 10), 0);
    }
    loop_advance(*state, 10);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(fired[i], i);
    }
}

static void test_timer__a_cleared_one_does_not_fire(void **state)
{
    struct noted one = noted(1), two = noted(2);
    assert_int_equal(timer_set(*state, &one.timer, 10), 0);
    assert_int_equal(timer_set(*state, &two.timer, 10), 0);
    timer_clear(*state, &one.timer);
    timer_clear(*state, &one.timer);
    loop_advance(*state, 100);
    assert_int_equal(fired_count, 1);
    assert_int_equal(fired[0], 2);
}

static void test_timer__setting_it_again_moves_it(void **state)
{
    struct noted one = noted(1);
    assert_int_equal(timer_set(*state, &one.timer, 10), 0);
    assert_int_equal(timer_set(*state, &one.timer, 30), 0);
    loop_advance(*state, 29);
    assert_int_equal(fired_count, 0);
    loop_advance(*state, 1);
    assert_int_equal(fired_count, 1);
}

static void set_again(struct timer *timer)
{
    fired_count++;
    assert_int_equal(timer_set(the_loop, timer, 0), 0);
}

static void test_timer__one_set_while_firing_waits_for_the_next_batch(void **state)
{
    struct timer timer = { .fn = set_again };
    assert_int_equal(timer_set(*state, &timer, 0), 0);
    loop_turn(*state, false);
    assert_int_equal(fired_count, 1);
    loop_turn(*state, false);
    assert_int_equal(fired_count, 2);
    timer_clear(*state, &timer);
}

static struct noted victim;

static void clear_victim(struct timer *timer)
{
    (void)timer;
    timer_clear(the_loop, &victim.timer);
}

static void test_timer__one_due_in_the_same_batch_can_be_cleared(void **state)
{
    struct timer killer = { .fn = clear_victim };
    victim = noted(1);
    assert_int_equal(timer_set(*state, &killer, 10), 0);
    assert_int_equal(timer_set(*state, &victim.timer, 10), 0);
    loop_advance(*state, 100);
    assert_int_equal(fired_count, 0);
}

static int by_due(const void *a, const void *b)
{
    const struct noted *left = a, *right = b;
    return left->timer.due < right->timer.due ? -1 : left->timer.due > right->timer.due;
}

/* Sets, moves and clears by a fixed pseudo-random sequence; what is left must fire in order of its due times. */
static void test_timer__a_thousand_in_random_order_fire_in_order(void **state)
{
    enum { COUNT = 1000 };
    struct noted *all = calloc(COUNT, sizeof(*all));
    size_t left = 0;
    uint32_t seed = 12345;
    for (int i = 0; i < COUNT; i++) {
        all[i] = noted(i);
    }
    for (int i = 0; i < COUNT * 4; i++) {
        seed = seed * 1664525u + 1013904223u;
        struct noted *one = &all[(seed >> 8) % COUNT];
        if (seed >> 30) {
            assert_int_equal(timer_set(*state, &one->timer, (seed >> 4) % 100000), 0);
        } else {
            timer_clear(*state, &one->timer);
        }
    }
    struct noted *expected = calloc(COUNT, sizeof(*expected));
    for (int i = 0; i < COUNT; i++) {
        if (all[i].timer.index) {
            expected[left++] = all[i];
        }
    }
    qsort(expected, left, sizeof(*expected), by_due);
    loop_advance(*state, 100000);
    assert_int_equal(fired_count, left);
    for (size_t i = 0; i < left; i++) {
        assert_int_equal(all[fired[i]].timer.due, expected[i].timer.due);
    }
    free(expected);
    free(all);
}

static bool rung;

static void ring(struct timer *timer)
{
    (void)timer;
    rung = true;
}

static void test_timer__rings_on_the_real_clock_and_not_early(void **state)
{
    struct loop_options options = { 0 };
    struct loop *loop;
    struct timer timer = { .fn = ring };
    (void)state;
    rung = false;
    assert_int_equal(loop_new(&options, &loop), 0);
    uint64_t begin = loop_clock();
    assert_int_equal(timer_set(loop, &timer, 3000), 0);
    wait_for(loop, &rung);
    assert_true(loop_clock() - begin >= 3000);
    loop_free(loop);
}

static void test_timer__an_earlier_one_moves_the_alarm_of_the_real_clock(void **state)
{
    struct loop_options options = { 0 };
    struct loop *loop;
    struct timer far = { .fn = ring }, near = { .fn = ring };
    (void)state;
    rung = false;
    assert_int_equal(loop_new(&options, &loop), 0);
    assert_int_equal(timer_set(loop, &far, 3600u * 1000000u), 0);
    assert_int_equal(timer_set(loop, &near, 1000), 0);
    wait_for(loop, &rung);
    assert_int_equal(near.index, 0);
    timer_clear(loop, &far);
    loop_free(loop);
}

#define TIMER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TIMER_TEST(test_timer__fires_when_due_and_not_before),
        TIMER_TEST(test_timer__fires_once),
        TIMER_TEST(test_timer__earlier_due_fires_first),
        TIMER_TEST(test_timer__of_two_due_at_once_the_first_set_fires_first),
        TIMER_TEST(test_timer__a_cleared_one_does_not_fire),
        TIMER_TEST(test_timer__setting_it_again_moves_it),
        TIMER_TEST(test_timer__one_set_while_firing_waits_for_the_next_batch),
        TIMER_TEST(test_timer__one_due_in_the_same_batch_can_be_cleared),
        TIMER_TEST(test_timer__a_thousand_in_random_order_fire_in_order),
        cmocka_unit_test(test_timer__rings_on_the_real_clock_and_not_early),
        cmocka_unit_test(test_timer__an_earlier_one_moves_the_alarm_of_the_real_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
