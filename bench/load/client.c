/* The clients, and the latencies they take. */
#include "load.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LATENCY_ROOM (20u * 1000 * 1000)

#define TIME_END 26   /* "data: " and a time in 20 digits */
#define NUMBER_END 37 /* a space and the event's number in 10 digits */

int clients_ready, named, over_tls, resumes;
const char *accepts = "*/*";
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

static void ask_for(struct connection *c, const char *path)
{
    char request[320];
    c->asked = now_ns();
    c->head_done = 0;
    c->kept = 0;
    if (c->session) {
        ask_stream(c, path);
        return;
    }
    int size = snprintf(request, sizeof request,
                        "GET %s HTTP/1.1\r\nHost: localhost\r\n"
                        "Accept: %s\r\nAccept-Encoding: identity\r\n"
                        "User-Agent: load\r\n\r\n",
                        path, accepts);
    write_all(c, request, size);
}

void ask(struct connection *c)
{
    static uint32_t requests;
    char path[32];
    /* Small requests are not all the same: no proxy may know one by its bytes. */
    if (mode == REQUESTS)
        snprintf(path, sizeof path, "/bench/%05d?%08x", c->stream, ++requests);
    else
        snprintf(path, sizeof path, "/bench/%05d", c->stream);
    ask_for(c, path);
}

int connected(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        fail("connect");
    return fd;
}

void connect_client(int number)
{
    int port = number == 0 && other_port ? other_port : proxy_port;
    int fd = sessions_wanted ? -1 : connected(port);
    void *tls = over_tls ? tls_over(fd, "http/1.1", resumes) : NULL;
    struct connection *c = sessions_wanted ? add_stream(number) : add(fd, CLIENT);
    c->tls = tls;
    c->stream = mode == FANOUT ? 0 : number;
    c->due = mode == LIVES;
    if (c->fd >= 0)
        streams[c->stream].client = c->fd;
    ask(c);
}

/* The next request of a client at its pace, unless it still waits for an answer. */
void ask_again(int number)
{
    struct connection *c = &table[streams[number].client];
    if (c->head_done && !c->left) {
        counts.sent++;
        ask(c);
    }
}

/* It has all that it came for. */
void leave_client(struct connection *c)
{
    int before = running;
    running = 0; /* that it closes is no error */
    drop(c);
    running = before;
    counts.ended++;
}

/* A new connection to a stream that was left behind, from its beginning. */
void take_up(int number)
{
    char path[ID_BYTES + 32];
    struct connection *c = add(connected(proxy_port), CLIENT);
    c->stream = number;
    c->due = 1;
    snprintf(path, sizeof path, "/_unbuffered/streams/%s", streams[number].id);
    ask_for(c, path);
}

/* From here on each client has to get every event of its stream. */
void expect_the_next(void)
{
    for (int i = 0; i < wanted; i++)
        streams[i].before = streams[i].written;
    for (int fd = 0; fd < MAX_CONNECTIONS; fd++)
        if (table[fd].kind == CLIENT && !table[fd].due)
            table[fd].due = mode == FANOUT ? streams[0].before + 1 : 1;
}

/* Each event once and in order? Returns whether it is one of the run. */
static int check_number(struct connection *c, uint32_t number)
{
    if (c->due && number < c->due) {
        counts.doubled++;
        return 0;
    }
    if (c->due)
        counts.skipped += number - c->due;
    c->due = number + 1;
    return number > streams[c->stream].before;
}

static uint64_t digits(const char *at, int count)
{
    uint64_t value = 0;
    for (; count > 0; count--)
        value = value * 10 + (*at++ - '0');
    return value;
}

/* `value`: the number that stands in the event, a time or, coded, a count. */
static void take_event(struct connection *c, const char *event, uint64_t now)
{
    struct stream *stream = &streams[c->stream];
    uint64_t value = digits(event + 6, 20);
    if (mode == CODED) {
        if (value >= block_count()) { /* it only looked like an event */
            counts.unreadable++;
            return;
        }
        uint64_t waited = now - stream->times[value];
        if (value < stream->written && waited > interval / 10 * 8)
            counts.held++;
        value = stream->times[value];
    } else if (!check_number(c, digits(event + TIME_END + 1, 10))) {
        return;
    }
    counts.received++;
    note_latency(value, now);
    if (mode == LOCKSTEP && running)
        send_event(c->stream);
    if (mode == LIVES && !interval)
        end_stream(c->stream);
}

static void take_events(struct connection *c, char *at, ssize_t size)
{
    uint64_t now = now_ns(), before = counts.received;
    int whole = mode == CODED ? TIME_END : NUMBER_END;
    char *end = at + size;
    for (;;) {
        char *found = memmem(at, end - at, "data: ", 6);
        if (!found)
            break;
        if (end - found < whole) {
            at = found;
            break;
        }
        take_event(c, found, now);
        at = found + whole;
    }
    if (size && counts.received == before)
        counts.unreadable++;
    if (counts.received > before)
        counts.joined += counts.received - before - 1;
    size_t rest = end - at;
    if (rest >= (size_t)whole) { /* nothing of a token is further back than this */
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

static void note_id(struct stream *stream)
{
    char *field = strcasestr(read_buffer, "\nstream-id: ");
    if (!field || stream->id[0])
        return;
    field += 12;
    size_t size = strcspn(field, "\r\n");
    if (size >= ID_BYTES)
        size = 0;
    memcpy(stream->id, field, size);
    named += size > 0;
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
    if (IS_STREAM)
        note_id(&streams[c->stream]);
    return end + 4 - read_buffer;
}

/* A response has begun. */
void head_came(struct connection *c)
{
    if (IS_STREAM)
        clients_ready++;
    c->left = mode == BULK ? body_bytes : 2;
    c->head_done = 1;
}

/* A piece of a body; on HTTP/2 its last one has `ended`. Returns 0 if it goes on. */
int take_body(struct connection *c, char *at, ssize_t size, int ended)
{
    if (IS_STREAM) {
        take_events(c, at, size);
        return 0;
    }
    counts.bytes += size;
    c->left -= (uint64_t)size < c->left ? (uint64_t)size : c->left;
    if (c->left || !ended)
        return 0;
    counts.received++;
    note_latency(c->asked, now_ns());
    if (running && mode == REQUESTS && !interval)
        ask(c);
    if (mode == CONNECTS)
        leave_client(c);
    return 1;
}

void read_client(struct connection *c, ssize_t size)
{
    ssize_t start = 0;
    if (!c->head_done) {
        start = after_head(c, size);
        if (!start)
            return;
        head_came(c);
        size -= start;
    }
    if (mode == CODED && c->coded) {
        if (size)
            take_undecoded(c);
        return;
    }
    int ended = (mode == ENDED || mode == LIVES) && size >= 5
                && !memcmp(read_buffer + start + size - 5, "0\r\n\r\n", 5);
    ends += ended;
    take_body(c, read_buffer + start, size, 1);
    if (ended && mode == LIVES)
        leave_client(c);
}
