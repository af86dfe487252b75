/* Writes hvsession.ico, the icon of hvsession-tray.exe: the working one, in the sizes that Windows
 * asks for; with "small" hvsession-small.ico, that of hvsession.exe. Run by hand when
 * windows/tray/icon.c has changed; a unit test compares the files with it.
 *
 *     cc -std=c11 -I. windows/tray/icons/make-ico.c windows/tray/icon.c -o make-ico
 *     ./make-ico windows/tray/icons/hvsession.ico
 *     ./make-ico windows/tray/icons/hvsession-small.ico small
 */
#include "ico.h"

#include <stdio.h>

int
main(int count, char **arguments)
{
    static uint8_t bytes[HVS_ICO_MAX];
    bool small = count == 3 && strcmp(arguments[2], "small") == 0;
    size_t length = hvs_ico_make(small ? HVS_ICO_SIZES_SMALL : HVS_ICO_SIZES, bytes);
    FILE *file = count == 2 || small ? fopen(arguments[1], "wb") : NULL;

    if (file == NULL || fwrite(bytes, 1, length, file) != length || fclose(file) != 0) {
        fprintf(stderr, "usage: make-ico FILE [small]\n");
        return 1;
    }
    return 0;
}
