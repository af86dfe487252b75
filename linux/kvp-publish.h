/* Tells the host how Enhanced Session does, through Hyper-V's data exchange: an administrator reads
 * the state of every machine of a host in PowerShell, without a login to any.
 *
 * Three records in the guest's pool (linux/kvp.h), which hv_kvp_daemon reads anew whenever the host
 * asks: HvSessionState, the word of hvs_overall_to_string(); HvSessionVersion; and
 * HvSessionLastError, what is wrong, or else how the last session that failed has ended, with its
 * time, or nothing. They are written in place, taken out at a clean stop, and never more than three.
 * The pool belongs to others: one that is missing is not made, one that is no whole number of
 * records or not a file is left alone. What fails is logged once.
 *
 * hv_kvp_daemon makes the pool, for root alone to write. hvsession setup gives it to the service's
 * group, and setup --undo takes that back. It lasts: hv_kvp_daemon never makes the file anew.
 *
 * Locking is that of hv_kvp_daemon (Linux tools/hv/hv_kvp_daemon.c, kvp_acquire_lock): fcntl(2), for
 * writing, over the whole file. Nothing waits for it but the end of the service, shortly.
 */
#ifndef HVS_LINUX_KVP_PUBLISH_H
#define HVS_LINUX_KVP_PUBLISH_H

#include "roots.h"

#include "common/settings.h"
#include "common/status.h"

#include <glib.h>

/* What programs of the guest tell the host. */
#define HVS_KVP_POOL_OF_GUEST "lib/hyperv/.kvp_pool_1" /* under /var */
/* A pool of more records is none. */
#define HVS_KVP_RECORDS_MAX 4096u
/* Bytes of a value: hv_kvp_daemon passes on 1022 UTF-16 units, and one takes a byte at least. */
#define HVS_KVP_TEXT_MAX 1000u
/* A pool that somebody has locked is tried again after that long, in milliseconds, so often. */
#define HVS_KVP_LOCK_PAUSE    50u
#define HVS_KVP_LOCK_ATTEMPTS 40u

typedef struct hvs_kvp_publisher hvs_kvp_publisher;

/* Nothing is published before hvs_kvp_publisher_update(). roots is borrowed. */
hvs_kvp_publisher *hvs_kvp_publisher_new(const struct hvs_roots *roots);
/* PublishState (enum hvs_publish_setting) as it is now: no takes back what was published,
 * and what a service that was killed has left. */
void hvs_kvp_publisher_configure(hvs_kvp_publisher *publisher, unsigned setting);
/* Publishes what differs from what was published last. */
void hvs_kvp_publisher_update(hvs_kvp_publisher *publisher, const struct hvs_status *status);
/* Takes back what was published. */
void hvs_kvp_publisher_free(hvs_kvp_publisher *publisher);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(hvs_kvp_publisher, hvs_kvp_publisher_free)

#endif
