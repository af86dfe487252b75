/* Feeds a model with what hvsessiond publishes on the system bus, and asks it to act.
 *
 * The service may appear and disappear at any time. Nothing is polled: without a change of the
 * service, nothing runs here.
 */
#ifndef HVS_GUI_CLIENT_H
#define HVS_GUI_CLIENT_H

#include "model.h"

#define HVS_TYPE_CLIENT (hvs_client_get_type())
G_DECLARE_FINAL_TYPE(HvsClient, hvs_client, HVS, CLIENT, GObject)

/* Signals:
 *   "failed" (const char *sentence): what was asked for has failed, as a sentence for people
 *   "notify::diagnosing": a diagnosis is under way, or has ended */
HvsClient *hvs_client_new(HvsModel *model);

/* The answers come as changes of the model. polkit may ask for a password. */
void hvs_client_disconnect(HvsClient *client, guint32 session);
/* Does nothing while one is under way. */
void     hvs_client_diagnose(HvsClient *client);
gboolean hvs_client_is_diagnosing(HvsClient *client);

#endif
