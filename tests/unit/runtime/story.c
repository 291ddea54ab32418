#include "story.h"

#include <string.h>

static char text[512];

void story_begin(void)
{
    text[0] = '\0';
}

void story_tell(const char *word)
{
    strncat(text, word, sizeof(text) - strlen(text) - 1);
}

void story_tell_arg(void *word)
{
    story_tell(word);
}

const char *story(void)
{
    return text;
}
