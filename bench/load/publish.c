/* Events that are published: a message for each, by POST, one after the other.
 *
 * For servers that fan out what they are told instead of a stream that they read:
 * nchan takes the bare data, Pushpin's control port an envelope in JSON.
 */
#include "load.h"
#include <string.h>

#define ANSWER_NS 5000000000ull

static int port, waiting;
static struct connection *publisher;

void publish_to(int number)
{
    port = number;
}

/* Pushpin closes after each answer, nchan keeps the connection. */
static struct connection *publisher_connection(void)
{
    uint64_t until = now_ns() + ANSWER_NS;
    while (waiting && now_ns() < until)
        turn(1);
    if (waiting)
        counts.errors++;
    if (!publisher || publisher->kind != PUBLISHER)
        publisher = add(connected(port), PUBLISHER);
    return publisher;
}

void publish(uint32_t number)
{
    char message[256], request[512];
    struct connection *c = publisher_connection();
    const char *form = source == GRIP
        ? "{\"items\":[{\"channel\":\"bench\",\"formats\":{\"http-stream\":{\"content\":"
          "\"data: %020llu %010u ........................\\n\\n\"}}}]}"
        : "%020llu %010u ........................";
    int size = snprintf(message, sizeof message, form, (unsigned long long)now_ns(), number);
    size = snprintf(request, sizeof request,
                    "POST /publish/ HTTP/1.1\r\nHost: localhost\r\n"
                    "Content-Length: %d\r\n\r\n%s",
                    size, message);
    waiting = 1;
    write_all(c, request, size);
}

/* What does not begin a response is the rest of one. */
void read_publisher(struct connection *c, ssize_t size)
{
    (void)c;
    read_buffer[size] = 0;
    if (size < 12 || memcmp(read_buffer, "HTTP/1.1 ", 9))
        return;
    if (read_buffer[9] != '2')
        counts.errors++;
    waiting = 0;
    if (strcasestr(read_buffer, "\r\nconnection: close"))
        drop(c);
}
