/* Tells the host how Enhanced Session does, through Hyper-V's data exchange (KVP): an administrator
 * reads the state of every machine of a host in PowerShell, without a login to any.
 *
 *     HKLM\SOFTWARE\Microsoft\Virtual Machine\Guest
 *         HvSessionState      REG_SZ, the word of hvs_overall_to_string()
 *         HvSessionVersion    REG_SZ
 *         HvSessionLastError  REG_SZ, what is wrong, or else how the last session that failed has
 *                             ended, with its time, or nothing
 *
 * The key belongs to the integration services, which pass on what is in it: one that is missing is
 * not made. The values are taken out when the service stops. What fails is logged once. The
 * daemon's thread only.
 */
#ifndef HVS_WINDOWS_PUBLISH_H
#define HVS_WINDOWS_PUBLISH_H

#include "common/settings.h"
#include "common/status.h"

#include <windows.h>

enum { HVS_PUBLISH_STATE, HVS_PUBLISH_VERSION, HVS_PUBLISH_LAST_ERROR, HVS_PUBLISH_VALUES };

/* Of a value, in bytes: the host takes 1024 characters. */
#define HVS_PUBLISH_TEXT_MAX 1000u

struct hvs_publish {
    /* "": it is not there. At first what no value is, for a killed service may have left some. */
    char     published[HVS_PUBLISH_VALUES][HVS_PUBLISH_TEXT_MAX];
    char     failure[HVS_PUBLISH_TEXT_MAX]; /* of the session failure_id */
    uint32_t failure_id;                    /* 0: none */
    bool     complained;
};

/* The struct is zeroed. */
void hvs_publish_init(struct hvs_publish *publish);
/* Publishes what differs from what was published last. setting: PublishState; no takes back what
 * was published. */
void hvs_publish_update(struct hvs_publish *publish, unsigned setting,
                        const struct hvs_status *status);
/* Takes back what was published. */
void hvs_publish_end(struct hvs_publish *publish);
/* Takes out what a service has left that was killed, or is about to be; from any program and
 * thread. An error of the system; that there is nothing is none. */
DWORD hvs_publish_clear(void);

#endif
