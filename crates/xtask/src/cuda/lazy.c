/* Opens one of NVIDIA's libraries at the first call of one of its functions. The build defines LIBRARY
 * (its name in the symbols), SONAMES (file names to try) and MISSING (the status that its functions
 * return if it is missing). The table of names and slots and the functions are in generated assembly. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOIN2(a, b, c) a##b##c
#define JOIN(a, b, c) JOIN2(a, b, c)
#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)
#define HIDDEN __attribute__((visibility("hidden")))

HIDDEN extern void *JOIN(lazy_, LIBRARY, _slots)[];
HIDDEN extern const char *const JOIN(lazy_, LIBRARY, _names)[];

static const char *const files[] = {SONAMES, 0};
static void *library;
static char reason[512] = "lib" TEXT(LIBRARY) " could not be opened";
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Tries the loader's own rules first, then the configured and the usual folders of a toolkit. */
static void open_library(void) {
    const char *named[] = {getenv("CUDA_HOME"), getenv("CUDA_PATH"), "/usr/local/cuda", "/opt/cuda", "/usr"};
    const char *under[] = {"lib64", "lib", "lib/x86_64-linux-gnu"};
    char path[4096];
    for (int f = 0; files[f]; f++) {
        if ((library = dlopen(files[f], RTLD_NOW | RTLD_LOCAL))) return;
        const char *error = dlerror();
        if (f == 0 && error) snprintf(reason, sizeof reason, "%s", error);
    }
    for (size_t n = 0; n < sizeof named / sizeof *named; n++)
        for (size_t u = 0; named[n] && *named[n] && u < sizeof under / sizeof *under; u++)
            for (int f = 0; files[f]; f++) {
                snprintf(path, sizeof path, "%s/%s/%s", named[n], under[u], files[f]);
                if ((library = dlopen(path, RTLD_NOW | RTLD_LOCAL))) return;
            }
}

static int status(void) { return MISSING; }
static const char *text(void) { return reason; }
static int text_through(int code, const char **to) { (void)code; *to = reason; return 0; }
static size_t zero(void) { return 0; }

static int ends_with(const char *name, const char *end) {
    size_t n = strlen(name), e = strlen(end);
    return n >= e && !strcmp(name + n - e, end);
}

/* Replaces a function whose library is missing: nearly all return a status. */
static void *stand_in(const char *name) {
    if (!strcmp(name, "cuGetErrorName") || !strcmp(name, "cuGetErrorString")) return (void *)text_through;
    if (ends_with(name, "GetStatusName") || ends_with(name, "GetStatusString") || ends_with(name, "GetErrorString")) return (void *)text;
    if (!strcmp(name, "cublasLtGetVersion") || !strcmp(name, "cublasLtGetCudartVersion")) return (void *)zero;
    return (void *)status;
}

HIDDEN void *JOIN(lazy_, LIBRARY, _resolve)(unsigned long number) {
    const char *name = JOIN(lazy_, LIBRARY, _names)[number];
    pthread_once(&once, open_library);
    void *function = library ? dlsym(library, name) : 0;
    if (library && !function) snprintf(reason, sizeof reason, "lib" TEXT(LIBRARY) " has no %s", name);
    if (!function) function = stand_in(name);
    __atomic_store_n(&JOIN(lazy_, LIBRARY, _slots)[number], function, __ATOMIC_RELEASE);
    return function;
}
