#include "shape.h"

#include <string.h>

/* The client writes once, request bytes; the server reads that and writes answers times answer
 * bytes. 0 bytes: no such write. */
struct exchange {
    uint32_t request;
    uint32_t answer, answers;
    uint32_t repeat;
    bool update; /* latency counts */
};

static const struct exchange exchanges[] = {
    { .request = SHAPE_REQUEST_SIZE, .answer = 19, .answers = 1, .repeat = 1 },
    { .request = 462, .answer = 126, .answers = 1, .repeat = 1 },     /* MCS Connect */
    { .request = 12, .repeat = 1 },                                   /* Erect Domain */
    { .request = 8, .answer = 11, .answers = 1, .repeat = 1 },        /* Attach User */
    { .request = 12, .answer = 15, .answers = 1, .repeat = 7 },       /* Channel Join */
    { .request = 353, .answer = 16019, .answers = 157, .repeat = 1 }, /* network auto-detect */
    { .answer = 34, .answers = 1, .repeat = 1 },                      /* licence */
    { .answer = 472, .answers = 1, .repeat = 1 },                     /* Demand Active */
    { .request = 611, .repeat = 1 },                                  /* Confirm Active */
    { .request = 116, .repeat = 1 },                                  /* three PDUs at once */
    { .request = 119, .answer = 1623, .answers = 1, .repeat = 540, .update = true },
    { .request = 119, .answer = 139, .answers = 1, .repeat = 187 },
    { .answer = 139, .answers = 1, .repeat = 232 },
};

/* [MS-RDPBCGR] 2.2.1.1, asking for SSL, HYBRID and HYBRID_EX as the host does; 2.2.1.2 with
 * selectedProtocol RDP; and the header of T.123 and X.224 in front of the two MCS PDUs. */
static const uint8_t connection_request[] = { 3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0,
                                              0, 1, 0, 8,  0,  11,   0, 0, 0 };
static const uint8_t connection_confirm[] = { 3, 0, 0, 19, 14, 0xd0, 0, 0, 0, 0,
                                              0, 2, 0, 8,  0,  0,    0, 0, 0 };
static const uint8_t connect_initial[] = { 3, 0, 462 >> 8, 462 & 0xff, 2, 0xf0, 0x80 };
static const uint8_t connect_response[] = { 3, 0, 0, 126, 2, 0xf0, 0x80 };

static void
send_message(struct endpoint *endpoint, uint32_t length, const void *head, size_t head_length)
{
    uint8_t message[HVHOST_PIPE_MAX];

    memset(message, 'x', length);
    memcpy(message, head, head_length);
    endpoint_send(endpoint, message, length);
}

static void
send_request(struct endpoint *endpoint, size_t index)
{
    uint32_t length = exchanges[index].request;

    if (index == 0)
        send_message(endpoint, length, connection_request, sizeof(connection_request));
    else if (index == 1)
        send_message(endpoint, length, connect_initial, sizeof(connect_initial));
    else if (length > 0)
        endpoint_send_many(endpoint, length, 1);
}

static void
send_answers(struct endpoint *endpoint, size_t index)
{
    const struct exchange *exchange = &exchanges[index];

    if (index == 0)
        send_message(endpoint, exchange->answer, connection_confirm, sizeof(connection_confirm));
    else if (index == 1)
        send_message(endpoint, exchange->answer, connect_response, sizeof(connect_response));
    else
        endpoint_send_many(endpoint, exchange->answer, exchange->answers);
}

void
shape_play_client(struct endpoint *endpoint, struct samples *latencies)
{
    for (size_t i = 0; i < sizeof(exchanges) / sizeof(exchanges[0]); i++) {
        const struct exchange *exchange = &exchanges[i];

        for (uint32_t n = 0; n < exchange->repeat; n++) {
            double begin = now();

            send_request(endpoint, i);
            endpoint_drop(endpoint, (uint64_t)exchange->answer * exchange->answers);
            if (exchange->update)
                samples_add(latencies, (now() - begin) * 1e6);
        }
    }
}

void
shape_play_server(struct endpoint *endpoint)
{
    for (size_t i = 0; i < sizeof(exchanges) / sizeof(exchanges[0]); i++) {
        for (uint32_t n = 0; n < exchanges[i].repeat; n++) {
            if (i > 0)
                endpoint_drop(endpoint, exchanges[i].request);
            send_answers(endpoint, i);
        }
    }
}
