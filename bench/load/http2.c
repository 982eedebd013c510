/* Clients that share connections: HTTP/2 over TLS, as far as a load needs it.
 *
 * A client is a stream: a place in the table behind those of all descriptors. Frames
 * are written and read by hand. Of a response's field section only the first field is
 * looked at, `:status`, which every server takes from the static table.
 */
#include "load.h"
#include <stdlib.h>
#include <string.h>

#define MAX_SESSIONS 100
#define RING 1024 /* streams of a session that can be open at once */
#define HEADER 9
#define MAX_FRAME 16384
#define STREAM_WINDOW (4u << 20) /* about what browsers announce */
#define SESSION_WINDOW (16u << 20)
#define FIRST_WINDOW 65535u /* of a connection, before any WINDOW_UPDATE */
#define STATUS_200 0x88

enum frame { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY,
             WINDOW_UPDATE, CONTINUATION };
enum flag { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8, WITH_PRIORITY = 32 };

struct session {
    void *tls;
    int fd, welcomed;    /* it has the server's SETTINGS */
    int indexed;         /* the server has the repeated fields in its table */
    uint32_t next;       /* number of the next stream */
    uint32_t taken;      /* bytes since the last WINDOW_UPDATE of the connection */
    int streams[RING];   /* places of the clients in the table */
    size_t in_size, out_size;
    char in[4 * MAX_FRAME], out[4 * MAX_FRAME];
};

int sessions_wanted;
static struct session sessions[MAX_SESSIONS];

static uint32_t number_at(const char *at, int size)
{
    uint32_t value = 0;
    for (int i = 0; i < size; i++)
        value = value << 8 | (unsigned char)at[i];
    return value;
}

static char *put(char *at, uint32_t value, int size)
{
    for (int i = size - 1; i >= 0; i--, value >>= 8)
        at[i] = (char)value;
    return at + size;
}

static void flush(struct session *s)
{
    if (s->out_size && !tls_write(s->tls, s->out, s->out_size))
        counts.errors++;
    s->out_size = 0;
}

static void queue(struct session *s, const char *data, size_t size)
{
    if (s->out_size + size > sizeof s->out)
        flush(s);
    memcpy(s->out + s->out_size, data, size);
    s->out_size += size;
}

static void queue_frame(struct session *s, enum frame type, int flags, uint32_t stream,
                        const char *payload, size_t size)
{
    char header[HEADER], *at = put(header, (uint32_t)size, 3);
    *at++ = (char)type;
    *at++ = (char)flags;
    put(at, stream, 4);
    queue(s, header, sizeof header);
    queue(s, payload, size);
}

static void queue_window(struct session *s, uint32_t stream, uint32_t size)
{
    char payload[4];
    put(payload, size, 4);
    queue_frame(s, WINDOW_UPDATE, 0, stream, payload, sizeof payload);
}

static void greet(struct session *s)
{
    char settings[12], *at = settings;
    at = put(put(at, 2, 2), 0, 4); /* ENABLE_PUSH */
    put(put(at, 4, 2), STREAM_WINDOW, 4); /* INITIAL_WINDOW_SIZE */
    queue(s, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    queue_frame(s, SETTINGS, 0, 0, settings, sizeof settings);
    queue_window(s, 0, SESSION_WINDOW - FIRST_WINDOW);
    flush(s);
}

/* The connections, each with the server's SETTINGS, before anything is asked. */
void open_sessions(int count)
{
    uint64_t until = now_ns() + GUARD_NS / 6;
    if (count < 1 || count > MAX_SESSIONS)
        exit(2);
    sessions_wanted = count;
    for (int i = 0; i < count; i++) {
        struct session *s = &sessions[i];
        int fd = connected(proxy_port);
        s->tls = tls_over(fd, "h2", 0);
        s->fd = fd;
        s->next = 1;
        add(fd, SESSION)->stream = i;
        greet(s);
        while (!s->welcomed && now_ns() < until)
            turn(1);
        if (!s->welcomed) {
            fprintf(stderr, "no SETTINGS frame from the server\n");
            exit(1);
        }
    }
}

static char *literal(char *at, int first, const char *value)
{
    size_t size = strlen(value); /* below 127 */
    *at++ = (char)first;
    *at++ = (char)size;
    memcpy(at, value, size);
    return at + size;
}

/* GET and https are in the static table; the path is written out; what is the same
 * in every request goes into the dynamic table with the first, as clients do it. */
static size_t field_section(struct session *s, char *block, const char *path)
{
    char *at = block;
    *at++ = (char)0x82;
    *at++ = (char)0x87;
    at = literal(at, 0x04, path);
    if (s->indexed) {
        memcpy(at, "\xc1\xc0\xbf\xbe", 4);
        return (size_t)(at + 4 - block);
    }
    s->indexed = 1;
    at = literal(at, 0x41, "localhost");
    at = literal(at, 0x53, accepts);
    at = literal(at, 0x50, "identity");
    at = literal(at, 0x7a, "load");
    return (size_t)(at - block);
}

void ask_stream(struct connection *c, const char *path)
{
    char block[512];
    struct session *s = &sessions[c->session - 1];
    size_t size = field_section(s, block, path);
    c->number = s->next;
    c->taken = 0;
    s->next += 2;
    s->streams[c->number / 2 % RING] = (int)(c - table);
    queue_frame(s, HEADERS, END_STREAM | END_HEADERS, c->number, block, size);
    if (!s->in_size) /* else with what else comes of what is being read */
        flush(s);
}

/* A client of its own, on one of the connections. */
struct connection *add_stream(int number)
{
    struct connection *c = &table[MAX_DESCRIPTORS + number];
    memset(c, 0, sizeof *c);
    c->kind = CLIENT;
    c->fd = -1;
    c->session = number % sessions_wanted + 1;
    return c;
}

static struct connection *client_of(struct session *s, uint32_t number)
{
    struct connection *c = &table[s->streams[number / 2 % RING]];
    return c->kind == CLIENT && c->number == number ? c : NULL;
}

static void end_client(struct connection *c, const char *why, uint32_t code)
{
    if (!running)
        fprintf(stderr, "HTTP/2 stream %u: %s %u\n", c->number, why, code);
    counts.errors++;
    c->kind = FREE;
}

static void take_settings(struct session *s, int flags, const char *at, size_t size)
{
    uint32_t each = (uint32_t)((wanted + sessions_wanted - 1) / sessions_wanted);
    if (flags & ACK)
        return;
    for (; size >= 6; at += 6, size -= 6) {
        uint32_t name = number_at(at, 2), value = number_at(at + 2, 4);
        if (name == 3 && value < each) {
            fprintf(stderr, "the server takes only %u streams on a connection\n", value);
            exit(1);
        }
        if (name == 1 && value < 4096) {
            fprintf(stderr, "a field table of %u bytes is not supported\n", value);
            exit(1);
        }
    }
    s->welcomed = 1;
    queue_frame(s, SETTINGS, ACK, 0, "", 0);
}

static void take_headers(struct session *s, uint32_t number, int flags, const char *at,
                         size_t size)
{
    struct connection *c = client_of(s, number);
    const char *end = at + size;
    if (!c)
        return;
    if (flags & PADDED)
        at += 1;
    if (flags & WITH_PRIORITY)
        at += 5;
    while (at < end && (*at & 0xe0) == 0x20) /* a size of the table, RFC 7541 §6.3 */
        while ((*at++ & 0x1f) == 0x1f && at < end)
            while (at < end && *at++ & 0x80)
                ;
    if (at >= end || (unsigned char)*at != STATUS_200)
        counts.errors++;
    head_came(c);
    if (flags & END_STREAM)
        end_client(c, "no body", 0);
}

static void take_data(struct session *s, uint32_t number, int flags, char *at, size_t size)
{
    struct connection *c = client_of(s, number);
    s->taken += size;
    if (s->taken >= SESSION_WINDOW / 2) {
        queue_window(s, 0, s->taken);
        s->taken = 0;
    }
    if (!c)
        return;
    c->taken += size;
    if (c->taken >= STREAM_WINDOW / 2 && !(flags & END_STREAM)) {
        queue_window(s, number, c->taken);
        c->taken = 0;
    }
    if (flags & PADDED) {
        size -= 1 + (unsigned char)*at;
        at++;
    }
    if (c->kept) { /* an event began in an earlier frame */
        memcpy(read_buffer, c->keep, c->kept);
        memcpy(read_buffer + c->kept, at, size);
        at = read_buffer;
        size += c->kept;
        c->kept = 0;
    }
    if ((size || !IS_STREAM) && take_body(c, at, size, flags & END_STREAM))
        return;
    if (flags & END_STREAM)
        end_client(c, "ended too early", 0);
}

static void take_frame(struct session *s, char *frame, size_t size)
{
    enum frame type = frame[3];
    int flags = (unsigned char)frame[4];
    uint32_t number = number_at(frame + 5, 4);
    char *payload = frame + HEADER;
    struct connection *c;
    if (type == DATA)
        take_data(s, number, flags, payload, size);
    else if (type == HEADERS)
        take_headers(s, number, flags, payload, size);
    else if (type == SETTINGS)
        take_settings(s, flags, payload, size);
    else if (type == PING && !(flags & ACK))
        queue_frame(s, PING, ACK, 0, payload, size);
    else if (type == RST_STREAM && (c = client_of(s, number)))
        end_client(c, "reset with code", number_at(payload, 4));
    else if (type == GOAWAY) {
        fprintf(stderr, "the server ends the connection: code %u\n",
                number_at(payload + 4, 4));
        counts.errors++;
    }
}

static void take_frames(struct session *s)
{
    char *at = s->in, *end = s->in + s->in_size;
    while (end - at >= HEADER) {
        size_t size = number_at(at, 3);
        if (size > MAX_FRAME) {
            fprintf(stderr, "a frame of %zu bytes\n", size);
            exit(1);
        }
        if ((size_t)(end - at) < HEADER + size)
            break;
        take_frame(s, at, size);
        at += HEADER + size;
    }
    memmove(s->in, at, (size_t)(end - at));
    s->in_size = (size_t)(end - at);
}

/* All that one read of the socket brought. */
void read_session(struct connection *c)
{
    struct session *s = &sessions[c->stream];
    do {
        ssize_t size = tls_read(s->tls, s->in + s->in_size, sizeof s->in - s->in_size);
        if (size == 0) {
            if (running)
                counts.errors++;
            drop(c);
            return;
        }
        if (size < 0)
            break;
        s->in_size += (size_t)size;
        take_frames(s);
    } while (tls_has_more(s->tls));
    flush(s);
}
