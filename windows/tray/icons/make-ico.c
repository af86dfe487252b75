/* Writes the icons of hvsession-tray.exe and hvsession.exe, the working one of icon.c, into the
 * folder that is named. Run by hand when windows/tray/icon.c has changed; a unit test compares the
 * files with it.
 *
 *     cc -std=c11 -I. windows/tray/icons/make-ico.c windows/tray/icon.c -o make-ico
 *     ./make-ico windows/tray/icons
 */
#include "ico.h"

#include <stdio.h>

static bool
write_file(const char *folder, const struct hvs_ico *ico)
{
    static uint8_t bytes[HVS_ICO_MAX];
    size_t length = hvs_ico_make(ico, bytes);
    char path[4096];
    FILE *file;

    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, ico->name) >= sizeof path)
        return false;
    file = fopen(path, "wb");
    if (file == NULL)
        return false;
    return (fwrite(bytes, 1, length, file) == length) & (fclose(file) == 0);
}

int
main(int count, char **arguments)
{
    if (count != 2) {
        fprintf(stderr, "usage: make-ico FOLDER\n");
        return 2;
    }
    for (size_t i = 0; i < HVS_ICOS; i++) {
        if (!write_file(arguments[1], &hvs_icos[i])) {
            perror(hvs_icos[i].name);
            return 1;
        }
    }
    return 0;
}
