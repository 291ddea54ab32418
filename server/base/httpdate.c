#include "base/httpdate.h"

#include <string.h>
#include <time.h>

struct cached_date {
    int64_t second;
    bool filled;
    char text[HTTP_DATE_LEN + 1];
};

static _Thread_local struct cached_date cached;

static void put_two_digits(char *out, int value)
{
    out[0] = (char)('0' + value / 10 % 10);
    out[1] = (char)('0' + value % 10);
}

void http_date_format(char out[static HTTP_DATE_LEN + 1], int64_t unix_seconds)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm;
    time_t seconds = (time_t)unix_seconds;
    if (!gmtime_r(&seconds, &tm) || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900) {
        http_date_format(out, 0);
        return;
    }
    memcpy(out, "Sun, 06 Nov 1994 08:49:37 GMT", HTTP_DATE_LEN + 1);
    memcpy(out, days + (size_t)tm.tm_wday * 3, 3);
    put_two_digits(out + 5, tm.tm_mday);
    memcpy(out + 8, months + (size_t)tm.tm_mon * 3, 3);
    put_two_digits(out + 12, (tm.tm_year + 1900) / 100);
    put_two_digits(out + 14, (tm.tm_year + 1900) % 100);
    put_two_digits(out + 17, tm.tm_hour);
    put_two_digits(out + 20, tm.tm_min);
    put_two_digits(out + 23, tm.tm_sec);
}

casgi_str_t http_date(void)
{
    struct timespec now;
    /* The coarse clock: it costs a fifth, and it turns to the next second at most a tick later. */
    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (!cached.filled || cached.second != now.tv_sec) {
        http_date_format(cached.text, now.tv_sec);
        cached.second = now.tv_sec;
        cached.filled = true;
    }
    return (casgi_str_t){ cached.text, HTTP_DATE_LEN };
}
