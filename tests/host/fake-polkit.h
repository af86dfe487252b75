/* org.freedesktop.PolicyKit1 on a test's bus: answers CheckAuthorization as told. In a thread of
 * its own, so that the test may call the daemon meanwhile and wait. */
#ifndef HVHOST_FAKE_POLKIT_H
#define HVHOST_FAKE_POLKIT_H

#include <gio/gio.h>

enum fake_polkit_answer {
    FAKE_POLKIT_ALLOW,
    FAKE_POLKIT_DENY,
    FAKE_POLKIT_CHALLENGE, /* a password would help */
    FAKE_POLKIT_FAIL,      /* an error */
    FAKE_POLKIT_HOLD,      /* no answer before fake_polkit_answer() */
};

typedef struct fake_polkit fake_polkit;

/* Returns when it has its name. */
fake_polkit *fake_polkit_new(const char *bus_address, enum fake_polkit_answer answer);
void fake_polkit_free(fake_polkit *polkit);
/* What is asked from now on gets that answer, and so does what is held. */
void fake_polkit_answer(fake_polkit *polkit, enum fake_polkit_answer answer);
/* Waits until that many questions were asked, and gives the last one as "ACTION SUBJECT FLAGS"; to
 * be freed. */
char *fake_polkit_wait_asked(fake_polkit *polkit, unsigned count);

#endif
