/* Clients that come and go, each on a connection of its own.
 *
 * Few are open at a time. What they take is the cost of a stream, a connection or a
 * handshake, with no pieces in between.
 */
#include "load.h"

static void come(int number)
{
    streams[number].written = streams[number].before = 0;
    counts.opened++;
    connect_client(number);
}

/* For so long, the next in each place whose last one has gone; then all have to go. */
void come_and_go(double seconds)
{
    uint64_t end = now_ns() + (uint64_t)(seconds * 1e9), now;
    while ((now = now_ns()) < end || counts.ended < counts.opened) {
        if (now > end + GRACE_NS)
            break;
        for (int i = 0; i < wanted && now < end; i++)
            if (!streams[i].client)
                come(i);
        turn(1);
    }
    counts.errors += counts.opened - counts.ended;
}

/* All streams at once, each by its last chunk; its client leaves when it has it. */
void end_all(void)
{
    uint64_t until = now_ns() + GRACE_NS;
    for (int i = 0; i < wanted; i++) {
        end_stream(i);
        turn(0);
    }
    while ((int)counts.ended < wanted && now_ns() < until)
        turn(1);
    counts.errors += (uint64_t)wanted - counts.ended;
}
