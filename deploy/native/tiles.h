/* GCC takes `ldtilecfg` to read 8 bytes of its 64, and leaves out what was written to the others:
 * the first tile instruction behind it is then illegal. */
#pragma once
#ifdef __AMX_TILE__
#include <immintrin.h>
#define _tile_loadconfig(config) \
  ({ __asm__ volatile("" : : "r"(config) : "memory"); _tile_loadconfig(config); })
#endif
