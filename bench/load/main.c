/* load MODE ORIGIN_PORT PROXY_PORT COUNT RATE SECONDS
 *      [CODING BLOCKS | SOURCE PORT [OTHER] | h2 COUNT | tls | resumed]
 *
 *   streams   RATE events a second on each of COUNT streams, at fixed times,
 *             however slowly the earlier ones come through
 *   eventsource  as streams, asked for as an EventSource does
 *   idle      COUNT open streams, nothing more
 *   lockstep  on each stream the next event when the last one has been read
 *   coded     as streams, with events that were compressed before
 *   fanout    RATE events a second to COUNT clients that all ask for the same stream.
 *             SOURCE says where the events come from: `upstream`, the origin's stream;
 *             `grip` or `nchan`, a message for each, published at PORT. With OTHER the first
 *             client asks there, and the others when it has its stream
 *   kept      COUNT streams, few at a time, whose clients leave after RATE events; then each is
 *             taken up again by its Stream-Id, and has to give all its events
 *   ended     as kept, but the streams have ended when their clients leave
 *   lives     as streams, but they are opened and ended within the run. With a RATE of 0 each
 *             ends when its first event has come, COUNT at a time, one after the other
 *   requests  small responses on COUNT kept-alive connections, each asked for at its RATE;
 *             with a RATE of 0 as soon as the one before has come
 *   connects  a connection for each small response, COUNT at a time
 *   bulk      COUNT bodies of RATE MiB
 *
 * With `h2` the clients of streams, idle, lockstep, requests and bulk share COUNT
 * connections of HTTP/2 over TLS. With `tls` each has a connection of HTTP/1.1 over TLS,
 * with `resumed` by the session of an earlier one.
 *
 * Prints READY when all is connected, then waits for a line on standard input,
 * runs, prints one line of JSON, waits for a line again, and exits. So whoever
 * started it can read the proxy's processor time at both moments.
 */
#include "load.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum mode mode;
enum source source;
int wanted, proxy_port, other_port, running, origins_ready, upstreams;
uint64_t body_bytes, interval;
struct counts counts;
#define POLL_NS 5000 /* an empty poll takes less; beyond, others had the core */
static uint64_t spun; /* ns in empty polls: the processor worked, we did not */

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* Streams have 60 s to open, as long as one of them does every 10 s. */
static void turn_while_opening(uint64_t began)
{
    static int ready;
    static uint64_t last;
    turn(1);
    uint64_t now = now_ns();
    if (!last || clients_ready + origins_ready != ready)
        last = now;
    ready = clients_ready + origins_ready;
    if (now < began + GUARD_NS && now < last + GUARD_NS / 6)
        return;
    fprintf(stderr, "%d of %d streams open after %d s, no more come\n", clients_ready,
            wanted, (int)((now - began) / 1000000000ull));
    exit(1);
}

/* How many streams the origin has to be asked for before all are open. */
static int origins_wanted(void)
{
    return source != UPSTREAM ? 0 : mode == FANOUT ? 1 : wanted;
}

static void connect_all(void)
{
    uint64_t began = now_ns();
    for (int i = 0; i < wanted; i++) {
        connect_client(i);
        /* No proxy is asked to accept more than a few at a time. */
        int most = i == 0 && other_port ? 0 : 50;
        while (IS_STREAM && i - clients_ready >= most)
            turn_while_opening(began);
    }
    while (IS_STREAM && (clients_ready < wanted || origins_ready < origins_wanted()))
        turn_while_opening(began);
}

static void wait_for_line(void)
{
    /* Keep serving meanwhile: keep-alive answers, closes. */
    fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
    char line[16];
    uint64_t guard = now_ns() + GUARD_NS;
    for (;;) {
        ssize_t size = read(0, line, sizeof line);
        if (size == 0 || size > 0 || now_ns() > guard)
            return;
        turn(1);
    }
}

static void note_lateness(uint64_t due, uint64_t now)
{
    uint64_t late = now - due;
    if (late > 1000000)
        counts.late++;
    if (late > counts.late_most)
        counts.late_most = late;
}

static void wait_for_rest(void)
{
    uint64_t until = now_ns() + GRACE_NS;
    if (mode == FANOUT && upstreams > 1) /* some are not sent anything */
        return;
    while (counts.received + counts.undecoded + counts.skipped < counts.sent
           && now_ns() < until)
        turn(1);
}

/* Polls without sleeping: a wake-up would be in every latency. */
static void run_streams(double rate, double seconds)
{
    int count = mode == FANOUT ? 1 : wanted;
    double step = 1e9 / (rate * count), next;
    uint64_t began = now_ns(), end = began + (uint64_t)(seconds * 1e9), now;
    int at = 0;
    next = began;
    while ((now = now_ns()) < end) {
        while (next <= now) {
            note_lateness((uint64_t)next, now_ns());
            if (mode == REQUESTS)
                ask_again(at);
            else
                send_event(at);
            at = (at + 1) % count;
            next += step;
            turn(0);
        }
        uint64_t before = now_ns();
        if (turn(0) == 0) {
            uint64_t took = now_ns() - before;
            spun += took < POLL_NS ? took : POLL_NS;
        }
    }
}

static void run_for(double seconds)
{
    uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
    while (now_ns() < end)
        turn(1);
}

static void run_bulk(void)
{
    uint64_t guard = now_ns() + GUARD_NS;
    connect_all();
    while ((int)(counts.received + counts.errors) < wanted && now_ns() < guard)
        turn(1);
}

static void run(double rate, double seconds)
{
    if (mode == STREAMS || mode == CODED || mode == FANOUT) {
        run_streams(rate, seconds);
    } else if (mode == LIVES && rate > 0) {
        connect_all();
        run_streams(rate, seconds);
        wait_for_rest();
        end_all();
    } else if (mode == LIVES || mode == CONNECTS) {
        come_and_go(seconds);
    } else if (mode == LOCKSTEP) {
        for (int i = 0; i < wanted; i++)
            send_event(i);
        run_for(seconds);
    } else if (mode == REQUESTS) {
        connect_all();
        if (rate > 0)
            run_streams(rate, seconds);
        else
            run_for(seconds);
    } else if (mode == BULK) {
        run_bulk();
    } else if (mode == KEPT || mode == ENDED) {
        take_up_all((int)rate);
    }
}

static void tell(double took, double busy)
{
    sort_latencies();
    printf("{\"sent\": %llu, \"received\": %llu, \"bytes\": %llu, \"errors\": %llu, "
           "\"doubled\": %llu, \"skipped\": %llu, \"joined\": %llu, "
           "\"upstreams\": %d, \"named\": %d, "
           "\"opened\": %llu, \"ended\": %llu, \"resumed\": %llu, "
           "\"held\": %llu, \"undecoded\": %llu, \"unreadable\": %llu, \"late\": %llu, "
           "\"late_most_us\": %.1f, \"seconds\": %.3f, \"busy\": %.3f, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f, \"max_us\": %.1f}\n",
           (unsigned long long)counts.sent, (unsigned long long)counts.received,
           (unsigned long long)counts.bytes, (unsigned long long)counts.errors,
           (unsigned long long)counts.doubled, (unsigned long long)counts.skipped,
           (unsigned long long)counts.joined,
           upstreams, named, (unsigned long long)counts.opened,
           (unsigned long long)counts.ended, (unsigned long long)counts.resumed,
           (unsigned long long)counts.held, (unsigned long long)counts.undecoded,
           (unsigned long long)counts.unreadable,
           (unsigned long long)counts.late, counts.late_most / 1e3, took, busy,
           percentile(0.5), percentile(0.99), percentile(1));
    fflush(stdout);
}

static int place(const char *name, const char **names, int count)
{
    int found = 0;
    while (found < count && strcmp(name, names[found]))
        found++;
    return found;
}

static enum mode mode_named(const char *name)
{
    static const char *names[] = {"streams", "idle", "lockstep", "coded", "fanout",
                                  "kept", "ended", "lives", "requests", "connects",
                                  "bulk"};
    if (strcmp(name, "eventsource") == 0) {
        accepts = "text/event-stream";
        return STREAMS;
    }
    return place(name, names, MODES);
}

static enum source source_named(const char *name)
{
    static const char *names[] = {"upstream", "grip", "nchan"};
    return place(name, names, SOURCES);
}

static int usage(void)
{
    fprintf(stderr, "usage: load MODE ORIGIN_PORT PROXY_PORT COUNT RATE SECONDS "
                    "[CODING BLOCKS | SOURCE PORT [OTHER] | h2 COUNT | tls | "
                    "resumed]\n");
    return 2;
}

int main(int argc, char **argv)
{
    mode = argc > 1 ? mode_named(argv[1]) : MODES;
    int shares = argc == 9 && strcmp(argv[7], "h2") == 0;
    int more = shares || mode == CODED || mode == FANOUT;
    int others = mode == FANOUT && argc == 10;
    resumes = argc == 8 && strcmp(argv[7], "resumed") == 0;
    over_tls = resumes || (argc == 8 && strcmp(argv[7], "tls") == 0);
    if (mode == MODES || argc != (more ? 9 : 7) + others + over_tls
        || (shares && !CAN_SHARE))
        return usage();
    proxy_port = atoi(argv[3]);
    other_port = others ? atoi(argv[9]) : 0;
    wanted = atoi(argv[4]);
    double rate = atof(argv[5]), seconds = atof(argv[6]);
    if (wanted < 1 || wanted > MAX_STREAMS)
        return 2;
    if (mode == CODED)
        read_blocks(argv[8], argv[7]);
    make_room();
    listen_on(atoi(argv[2]));
    if (mode == FANOUT) {
        accepts = "text/event-stream";
        source = source_named(argv[7]);
        if (source == SOURCES)
            return usage();
        publish_to(atoi(argv[8]));
    }
    interval = rate > 0 ? (uint64_t)(1e9 / rate) : 0;
    body_bytes = (uint64_t)(rate * 1024 * 1024);
    if (shares)
        open_sessions(atoi(argv[8]));
    if (mode == KEPT || mode == ENDED)
        leave_behind((int)rate);
    else if (IS_STREAM && mode != LIVES)
        connect_all();
    printf("READY\n");
    fflush(stdout);
    wait_for_line();
    forget_latencies();
    memset(&counts, 0, sizeof counts);
    expect_the_next();
    running = 1;
    uint64_t began = now_ns();
    double worked = processor_seconds();
    run(rate, seconds);
    double took = (now_ns() - began) / 1e9;
    double busy = (processor_seconds() - worked - spun / 1e9) / took;
    running = 0;
    if (mode == STREAMS || mode == LOCKSTEP || mode == CODED || mode == FANOUT)
        wait_for_rest();
    tell(took, busy > 0 ? busy : 0);
    wait_for_line();
    return 0;
}
