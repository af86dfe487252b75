/* Writes hvsession.ico, the icon of hvsession-tray.exe: the working one, in the sizes that Windows
 * asks for. Run by hand when windows/tray/icon.c has changed; a unit test compares the two.
 *
 *     cc -std=c11 -I. windows/tray/icons/make-ico.c windows/tray/icon.c -o make-ico
 *     ./make-ico windows/tray/icons/hvsession.ico
 */
#include "ico.h"

#include <stdio.h>

int
main(int count, char **arguments)
{
    static uint8_t bytes[HVS_ICO_MAX];
    size_t length = hvs_ico_make(bytes);
    FILE *file = count == 2 ? fopen(arguments[1], "wb") : NULL;

    if (file == NULL || fwrite(bytes, 1, length, file) != length || fclose(file) != 0) {
        fprintf(stderr, "usage: make-ico FILE\n");
        return 1;
    }
    return 0;
}
