/* A short text that a test's tasks write words into, in order. */
#pragma once

void story_begin(void);
void story_tell(const char *word);
const char *story(void);

/* As a task or a deferred function: tells the word. */
void story_tell_arg(void *word);
