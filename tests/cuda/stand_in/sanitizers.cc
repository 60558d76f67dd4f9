#include "tests/cuda/stand_in/sanitizers.h"

#ifdef LONGROPE_STAND_IN_TSAN
// A race ends the program: a test that went on would pass.
extern "C" const char* __tsan_default_options() { return "halt_on_error=1:atexit_sleep_ms=0"; }
#endif
