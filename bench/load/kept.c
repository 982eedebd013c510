/* Streams whose clients leave, and that are taken up again.
 *
 * Few are open at a time, so that the proxy's memory is that of the streams which
 * wait, not what it needed for all their clients at once.
 */
#include "load.h"
#include <stdlib.h>

#define AT_ONCE 50

int ends; /* how many clients have read the last chunk */

static void give_up(const char *what, int count)
{
    fprintf(stderr, "%d of %d streams %s\n", count, wanted, what);
    exit(1);
}

/* Until all events that were sent have come, and so many ends. */
static void wait_for_all(uint64_t events, int all_ends)
{
    uint64_t until = now_ns() + GRACE_NS;
    while (counts.received < events || ends < all_ends) {
        if (now_ns() > until) {
            fprintf(stderr, "%llu of %llu events and %d of %d ends came\n",
                    (unsigned long long)counts.received, (unsigned long long)events,
                    ends, all_ends);
            exit(1);
        }
        turn(1);
    }
}

static void drop_clients(void)
{
    for (int fd = 0; fd < MAX_CONNECTIONS; fd++)
        if (table[fd].kind == CLIENT)
            drop(&table[fd]);
}

/* Each event by itself, so that each is a piece of its own to the proxy. */
static void leave_some(int first, int past, int events)
{
    uint64_t sent = (uint64_t)first * events;
    for (int i = first; i < past; i++)
        connect_client(i);
    for (int number = 1; number <= events; number++) {
        for (int i = first; number > 1 && i < past; i++) {
            send_event(i);
            turn(0);
        }
        wait_for_all(sent += past - first, 0);
    }
    if (named < past)
        give_up("have a Stream-Id: the others are not kept", named);
    for (int i = first; mode == ENDED && i < past; i++)
        end_stream(i);
    wait_for_all(sent, mode == ENDED ? past : 0);
    drop_clients();
}

void leave_behind(int events)
{
    for (int i = 0; i < wanted; i += AT_ONCE)
        leave_some(i, i + AT_ONCE < wanted ? i + AT_ONCE : wanted, events);
}

/* Those that have all they should; they leave again. */
static int take_leave(uint32_t events)
{
    int open = 0;
    for (int fd = 0; fd < MAX_CONNECTIONS; fd++) {
        struct connection *c = &table[fd];
        if (c->kind != CLIENT)
            continue;
        if (c->due <= events) {
            open++;
            continue;
        }
        running = 0; /* that it closes is no error */
        drop(c);
        running = 1;
    }
    return open;
}

/* The events are counted as they come: `sent` is how many there have to be. */
void take_up_all(int events)
{
    uint64_t until = now_ns() + GRACE_NS;
    int next = 0;
    counts.sent = (uint64_t)wanted * events;
    for (int i = 0; i < wanted; i++)
        streams[i].before = 0;
    while (now_ns() < until) {
        int open = take_leave(events);
        if (next == wanted && !open)
            return;
        for (; next < wanted && open < AT_ONCE; next++, open++)
            take_up(next);
        uint64_t before = counts.received;
        for (int i = 0; i < 5; i++)
            turn(1);
        if (counts.received > before)
            until = now_ns() + GRACE_NS;
    }
}
