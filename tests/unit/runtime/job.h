/* What a task of these tests does: sleeps, then tells its word and returns; or tells that it was cancelled. */
#pragma once

#include "story.h"
#include "support.h"

struct job {
    const char *word;
    uint64_t milliseconds;
    int result;
};

/* Tells "word"; "-word" when cancelled, "!word" after a deadline. */
int do_job(void *arg); /* a struct job */

/* Refuses the first cancellation and goes on for as long again. */
int refuse(void *arg);

extern struct job a, b, c, bad, slow;

/* Fake milliseconds since began_now. */
void began_now(void);
uint64_t elapsed(void);

/* Lets so much time pass, then cancels the task and runs what is ready. */
void cancel_at(struct loop *loop, struct task *task, uint64_t milliseconds);

int setup_story(void **state);

#define STORY_TEST(name) cmocka_unit_test_setup_teardown(name, setup_story, teardown_loop)
