#include "tls-module.h"

#include <dlfcn.h>
#include <gio/gio.h>

/* Every session with TLS asks for it; the library is mapped once, and stays. */
const struct hvs_tls_class *
hvs_tls_load(GError **error)
{
    void *module = dlopen(HVS_TLS_MODULE, RTLD_NOW | RTLD_LOCAL);
    const struct hvs_tls_class *class =
        module != NULL ? dlsym(module, HVS_TLS_MODULE_SYMBOL) : NULL;

    if (class == NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "TLS cannot be loaded: %s", dlerror());
        return NULL;
    }
    if (class->size != sizeof(struct hvs_tls_class)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "TLS cannot be loaded: " HVS_TLS_MODULE " is of another version; restart "
                    "the service");
        return NULL;
    }
    return class;
}
