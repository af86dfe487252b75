/* The status pipe: how other programs of this machine ask the service.
 *
 * \\.\pipe\hvsession is a message pipe. A client writes one request and reads one answer (what
 * TransactNamedPipe does), both UTF-8 without a terminating zero:
 *
 *     status-json       the status document of common/status.h
 *     status-text       the same for people
 *     sessions-json     the sessions alone, likewise
 *     sessions-text
 *     doctor-json       the document of common/diagnosis.h, of a look at this machine; that may
 *                       take some seconds
 *     facts             what only the service knows of the facts of common/diagnosis.h, as
 *                       hvs_probe_parse_own() reads it
 *     disconnect ID     ends that session: "ok", or "error: SENTENCE"
 *
 * Anything else is answered by "error: SENTENCE". Everyone who is logged on to this machine may ask
 * for the status; only administrators and the system may disconnect, and nobody from the network
 * may ask at all. A client that has not asked, or not read, after HVS_STATUS_PIPE_PATIENCE
 * milliseconds is dropped.
 */
#ifndef HVS_WINDOWS_STATUS_PIPE_H
#define HVS_WINDOWS_STATUS_PIPE_H

#include "common/text.h"

#include <windows.h>

#define HVS_STATUS_PIPE_NAME     L"\\\\.\\pipe\\hvsession"
#define HVS_STATUS_PIPE_PATIENCE 2000u
/* Requests are shorter, in bytes. */
#define HVS_STATUS_PIPE_REQUEST_MAX 128
/* Answers are at most HVS_STATUS_JSON_MAX bytes. */

/* ---- the service's side; the daemon's thread only ---- */

struct hvs_status_pipe_callbacks {
    void (*status)(bool json, struct hvs_text *answer, void *user_data);
    void (*sessions)(bool json, struct hvs_text *answer, void *user_data);
    void (*facts)(struct hvs_text *answer, void *user_data);
    /* false: the answer comes later, with hvs_status_pipe_answer(), for all who wait. */
    bool (*doctor)(struct hvs_text *answer, void *user_data);
    /* false: there is no such session. */
    bool (*disconnect)(uint32_t session_id, void *user_data);
};

struct hvs_status_pipe;

/* callbacks is borrowed. ERROR_ACCESS_DENIED or ERROR_PIPE_BUSY: the pipe exists, another
 * hvsession runs. Other errors: of the system. */
DWORD hvs_status_pipe_new(const struct hvs_status_pipe_callbacks *callbacks, void *user_data,
                          struct hvs_status_pipe **status_pipe);
/* Drops all clients. NULL is fine. */
void hvs_status_pipe_free(struct hvs_status_pipe *status_pipe);
/* Answers all who wait for the doctor. Without it they are dropped after
 * HVS_STATUS_PIPE_LONG_PATIENCE milliseconds. */
void hvs_status_pipe_answer(struct hvs_status_pipe *status_pipe, const char *answer);
#define HVS_STATUS_PIPE_LONG_PATIENCE 10000u
/* The daemon waits for these, at most until the deadline of hvs_clock_now() (0: none), and calls
 * hvs_status_pipe_dispatch() after every wait. */
#define HVS_STATUS_PIPE_HANDLES 4u
unsigned hvs_status_pipe_handles(const struct hvs_status_pipe *status_pipe,
                                 HANDLE handles[HVS_STATUS_PIPE_HANDLES]);
uint64_t hvs_status_pipe_deadline(const struct hvs_status_pipe *status_pipe);
void hvs_status_pipe_dispatch(struct hvs_status_pipe *status_pipe);

/* ---- the client's side ---- */

/* Asks the service; answer is UTF-8. ERROR_FILE_NOT_FOUND: no service runs. ERROR_SEM_TIMEOUT: all
 * of its instances are busy, and were for HVS_STATUS_PIPE_PATIENCE milliseconds. ERROR_TIMEOUT: it
 * has not answered in HVS_STATUS_PIPE_ANSWER_TIMEOUT. Other errors: of the system. */
#define HVS_STATUS_PIPE_ANSWER_TIMEOUT (HVS_STATUS_PIPE_LONG_PATIENCE + 1000u)
DWORD hvs_status_pipe_ask(const char *request, struct hvs_text *answer);

/* ---- both ---- */

/* The number of a session, in decimal digits only. false: none, others, or too many. */
bool hvs_status_pipe_parse_id(const char *digits, uint32_t *id);

#endif
