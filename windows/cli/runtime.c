/* What mingw's start-up code calls, and a program without floating point and without data of other
 * DLLs does not need: the originals are 2 KB of a program that is to stay below 150. */
struct _exception; /* of <math.h>, which declares the function as imported */

int  _matherr(struct _exception *exception);
void _pei386_runtime_relocator(void);

/* Would print what went wrong in a function of <math.h>. */
int
_matherr(struct _exception *exception)
{
    (void)exception;
    return 0;
}

/* Would patch addresses of imported data; the link fails if there are any. */
void
_pei386_runtime_relocator(void)
{
}
