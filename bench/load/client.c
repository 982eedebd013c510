/* The clients, and the latencies they take. */
#include "load.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LATENCY_ROOM (20u * 1000 * 1000)

int clients_ready;
static uint32_t *latencies; /* units of 100 ns */
static size_t latency_count;

void make_room(void)
{
    latencies = malloc(LATENCY_ROOM * sizeof *latencies);
    if (!latencies)
        fail("malloc");
}

static void note_latency(uint64_t from, uint64_t to)
{
    if (latency_count < LATENCY_ROOM)
        latencies[latency_count++] = (uint32_t)((to - from) / 100);
}

void forget_latencies(void)
{
    latency_count = 0;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

void sort_latencies(void)
{
    qsort(latencies, latency_count, sizeof *latencies, by_value);
}

/* Microseconds. */
double percentile(double p)
{
    if (!latency_count)
        return 0;
    return latencies[(size_t)(p * (latency_count - 1))] / 10.0;
}

void ask(struct connection *c)
{
    char request[256];
    int size = snprintf(request, sizeof request,
                        "GET /bench/%05d HTTP/1.1\r\nHost: localhost\r\n"
                        "Accept: */*\r\nAccept-Encoding: identity\r\n"
                        "User-Agent: load\r\n\r\n",
                        c->stream);
    c->asked = now_ns();
    c->head_done = 0;
    c->kept = 0;
    write_all(c, request, size);
}

void connect_client(int number)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(proxy_port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        fail("connect");
    struct connection *c = add(fd, CLIENT);
    c->stream = number;
    ask(c);
}

/* `value`: the number that stands in the event, a time or, coded, a count. */
static void take_event(struct connection *c, uint64_t value, uint64_t now)
{
    struct stream *stream = &streams[c->stream];
    if (mode == CODED) {
        if (value >= block_count()) { /* it only looked like an event */
            counts.unreadable++;
            return;
        }
        uint64_t waited = now - stream->times[value];
        if (value < stream->written && waited > interval / 10 * 8)
            counts.held++;
        value = stream->times[value];
    }
    counts.received++;
    note_latency(value, now);
    if (mode == LOCKSTEP && running)
        send_event(c->stream);
}

static void take_events(struct connection *c, char *at, ssize_t size)
{
    uint64_t now = now_ns(), before = counts.received;
    char *end = at + size;
    for (;;) {
        char *found = memmem(at, end - at, "data: ", 6);
        if (!found)
            break;
        if (end - found < 26) {
            at = found;
            break;
        }
        uint64_t value = 0;
        for (int i = 6; i < 26; i++)
            value = value * 10 + (found[i] - '0');
        take_event(c, value, now);
        at = found + 26;
    }
    if (size && counts.received == before)
        counts.unreadable++;
    size_t rest = end - at;
    if (rest > 30) { /* nothing of a token is further back than this */
        at = end - 5;
        rest = 5;
    }
    memcpy(c->keep, at, rest);
    c->kept = rest;
}

/* Bytes that are still coded: each read is taken for the last event. */
static void take_undecoded(struct connection *c)
{
    struct stream *stream = &streams[c->stream];
    counts.undecoded++;
    note_latency(stream->times[stream->written], now_ns());
}

/* Returns the offset of the body, 0 while the head is not complete. */
static ssize_t after_head(struct connection *c, ssize_t size)
{
    read_buffer[size] = 0;
    char *end = memmem(read_buffer, size, "\r\n\r\n", 4);
    if (!end) {
        if (size > (ssize_t)sizeof c->keep) {
            counts.errors++;
            size = sizeof c->keep;
        }
        c->kept = size; /* heads of more than 160 bytes come in one piece here */
        memcpy(c->keep, read_buffer, size);
        return 0;
    }
    *end = 0;
    if (memcmp(read_buffer, "HTTP/1.1 200", 12))
        counts.errors++;
    c->coded = strcasestr(read_buffer, "\ncontent-encoding:") != NULL;
    c->head_done = 1;
    return end + 4 - read_buffer;
}

void read_client(struct connection *c, ssize_t size)
{
    ssize_t start = 0;
    if (!c->head_done) {
        start = after_head(c, size);
        if (!start)
            return;
        if (mode <= CODED)
            clients_ready++;
        c->left = mode == BULK ? body_bytes : 2;
        size -= start;
    }
    if (mode == CODED && c->coded) {
        if (size)
            take_undecoded(c);
        return;
    }
    if (mode <= CODED) {
        take_events(c, read_buffer + start, size);
        return;
    }
    counts.bytes += size;
    c->left -= (uint64_t)size < c->left ? (uint64_t)size : c->left;
    if (c->left == 0) {
        counts.received++;
        note_latency(c->asked, now_ns());
        if (running && mode == REQUESTS)
            ask(c);
    }
}
