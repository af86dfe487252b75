/* What the fake vmbuspipe.dll and the simulated host of these tests agree upon.
 *
 * A channel is a named pipe of the host; it is offered while its event is set. The host resets the
 * event before it closes the pipe. */
#ifndef HVS_TESTS_WINE_FAKE_VMBUSPIPE_H
#define HVS_TESTS_WINE_FAKE_VMBUSPIPE_H

/* Both followed by the channel's number, 0 to 5. */
#define FAKE_OFFER_EVENT L"Global\\hvs-fake-offer-"
#define FAKE_PIPE        L"\\\\.\\pipe\\hvs-fake-"
/* While this event exists and is set, waiting for channels fails at once, as without a driver. */
#define FAKE_BROKEN_EVENT L"Global\\hvs-fake-broken"
/* While this event exists and is set, waiting for channels goes on for ever, whatever the time-out,
 * and so does opening them. */
#define FAKE_HANGING_EVENT L"Global\\hvs-fake-hanging"
/* Semaphores, if they exist: each call that hangs like that adds one. */
#define FAKE_HANGS_WAITING L"Global\\hvs-fake-hangs-waiting"
#define FAKE_HANGS_OPENING L"Global\\hvs-fake-hangs-opening"
/* While this event exists, loading the library waits until it is set. */
#define FAKE_LOADING_EVENT L"Global\\hvs-fake-loading"
/* While this event exists and is set, the library does not come back from being unloaded. */
#define FAKE_UNLOADING_EVENT L"Global\\hvs-fake-unloading"
/* Semaphores, if they exist: each time that it is loaded or unloaded like that adds one. */
#define FAKE_HANGS_LOADING   L"Global\\hvs-fake-hangs-loading"
#define FAKE_HANGS_UNLOADING L"Global\\hvs-fake-hangs-unloading"
/* If this semaphore exists, every call to wait for a channel adds one. */
#define FAKE_CALLS L"Global\\hvs-fake-calls"

#endif
