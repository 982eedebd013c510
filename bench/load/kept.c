/* Streams whose clients leave, and that are taken up again. */
#include "load.h"
#include <stdlib.h>

#define AT_ONCE 50

static void give_up(const char *what, int count)
{
    fprintf(stderr, "%d of %d streams %s\n", count, wanted, what);
    exit(1);
}

/* How many clients are here that have all events and, where asked, the end. */
static int done_with(uint32_t events, int end)
{
    int found = 0;
    for (int fd = 0; fd < MAX_CONNECTIONS; fd++) {
        struct connection *c = &table[fd];
        found += c->kind == CLIENT && c->due > events && (!end || c->ended);
    }
    return found;
}

static void wait_until_done(uint32_t events, int end, const char *what)
{
    uint64_t until = now_ns() + GRACE_NS;
    int found = 0;
    while ((found = done_with(events, end)) < wanted) {
        if (now_ns() > until)
            give_up(what, found);
        for (int i = 0; i < 20; i++)
            turn(1);
    }
}

/* Each event by itself, so that each is a piece of its own to the proxy. */
void leave_behind(int events)
{
    if (named < wanted)
        give_up("have a Stream-Id: the others are not kept", named);
    for (int number = 2; number <= events; number++) {
        wait_until_done(number - 1, 0, "had each event");
        for (int i = 0; i < wanted; i++) {
            send_event(i);
            turn(0);
        }
    }
    wait_until_done(events, 0, "had each event");
    for (int i = 0; mode == ENDED && i < wanted; i++) {
        end_stream(i);
        turn(0);
    }
    if (mode == ENDED)
        wait_until_done(events, 1, "had their end");
    for (int fd = 0; fd < MAX_CONNECTIONS; fd++)
        if (table[fd].kind == CLIENT)
            drop(&table[fd]);
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
