/* Tells a program that it runs on another processor: LD_PRELOAD this, with the processor's name in the variable TOLD.

   Libraries ask by the instruction CPUID which processor they are on, and choose their kernels by its answer. Linux can
   make that instruction fail, if the processor lets it (arch_prctl(2), ARCH_SET_CPUID), and here the failure is
   answered. Features are only ever taken away, so that nobody uses what is not there. The answers are those of AMD's
   "Processor Programming Reference" and Intel's "Software Developer's Manual". */

#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { ARCH_SET_CPUID = 0x1012, ANY = -1 };

/* An answer's registers EAX, EBX, ECX and EDX: which bits of the true ones stay, and which are set. */
typedef struct {
    uint32_t leaf;
    int subleaf;
    uint32_t kept[4], set[4];
} Rule;

#define ALL 0xFFFFFFFFu
#define NO_AVX512 {7, 0, {ALL, ~0xDC230000u, ~0x5842u, ~0x03C0010Cu}, {0}}, {7, ANY, {0}, {0}}
#define NO_AMX {7, 0, {ALL, ALL, ALL, ~0x03C00000u}, {0}}, {7, ANY, {0}, {0}}
#define AMD(signature) /* 32 KB, 512 KB and 32 MB of cache */                                                          \
    {0x0, ANY, {0}, {0x10, 0x68747541, 0x444D4163, 0x69746E65}},                                                       \
    {0x1, ANY, {0, ALL, ALL, ALL}, {signature}},                                                                       \
    {0x2, ANY, {0}, {0}},                                                                                              \
    {0x4, ANY, {0}, {0}},                                                                                              \
    {0x80000000, ANY, {0}, {0x80000023, 0x68747541, 0x444D4163, 0x69746E65}},                                          \
    {0x80000001, ANY, {0, ALL, ALL, ALL}, {signature, 0, 1 << 22, 0}},                                                 \
    {0x80000005, ANY, {0}, {0xFF40FF40, 0xFF40FF40, 0x20080140, 0x20080140}},                                          \
    {0x80000006, ANY, {0}, {0x48002200, 0x68004200, 0x02006140, 0x01009140}},                                          \
    {0x8000001D, 0, {0}, {0x4121, 0x1C0003F, 0x3F, 0}},                                                                \
    {0x8000001D, 1, {0}, {0x4122, 0x1C0003F, 0x3F, 0}},                                                                \
    {0x8000001D, 2, {0}, {0x4143, 0x1C0003F, 0x3FF, 2}},                                                               \
    {0x8000001D, 3, {0}, {0x3C163, 0x3C0003F, 0x7FFF, 1}},                                                             \
    {0x8000001D, ANY, {0}, {0}}

static const Rule milan[] = {AMD(0xA00F11), NO_AVX512};
static const Rule genoa[] = {AMD(0xA10F11), NO_AMX};
static const Rule haswell[] = { /* 32 KB, 256 KB and 8 MB of cache */
    {0x0, ANY, {0}, {0xD, 0x756E6547, 0x6C65746E, 0x49656E69}},
    {0x1, ANY, {0, ALL, ALL, ALL}, {0x306C3}},
    {0x4, 0, {0}, {0x1C004121, 0x1C0003F, 0x3F, 0}},
    {0x4, 1, {0}, {0x1C004122, 0x1C0003F, 0x3F, 0}},
    {0x4, 2, {0}, {0x1C004143, 0x1C0003F, 0x1FF, 0}},
    {0x4, 3, {0}, {0x1C03C163, 0x3C0003F, 0x1FFF, 6}},
    {0x4, ANY, {0}, {0}},
    {0x80000000, ANY, {0}, {0x80000008, 0, 0, 0}},
    NO_AVX512,
};
static const struct {
    const char *name;
    const Rule *rules;
    size_t count;
} processors[] = {
    {"AMD EPYC Milan", milan, sizeof milan / sizeof *milan},
    {"AMD EPYC Genoa", genoa, sizeof genoa / sizeof *genoa},
    {"Intel Haswell", haswell, sizeof haswell / sizeof *haswell},
}, *told;

static void may_ask(long yes) {
    if (syscall(SYS_arch_prctl, ARCH_SET_CPUID, yes)) {
        fputs("this processor or system lets nobody else answer CPUID\n", stderr);
        _exit(EXIT_FAILURE);
    }
}

static void answer(int signal_number, siginfo_t *info, void *context) {
    (void)info;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    if (memcmp((void *)registers[REG_RIP], "\x0F\xA2", 2)) { /* not CPUID, but a fault of the program's own */
        signal(signal_number, SIG_DFL);
        return;
    }
    uint32_t leaf = registers[REG_RAX], subleaf = registers[REG_RCX], found[4];
    may_ask(1);
    __cpuid_count(leaf, subleaf, found[0], found[1], found[2], found[3]);
    may_ask(0);
    for (size_t k = 0; k < told->count; k++) {
        const Rule *rule = &told->rules[k];
        if (rule->leaf == leaf && (rule->subleaf == ANY || (uint32_t)rule->subleaf == subleaf)) {
            for (int i = 0; i < 4; i++) found[i] = (found[i] & rule->kept[i]) | rule->set[i];
            break;
        }
    }
    registers[REG_RAX] = found[0];
    registers[REG_RBX] = found[1];
    registers[REG_RCX] = found[2];
    registers[REG_RDX] = found[3];
    registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void tell(void) {
    const char *name = getenv("TOLD");
    for (size_t k = 0; name && k < sizeof processors / sizeof *processors; k++)
        if (!strcmp(name, processors[k].name)) told = &processors[k];
    if (!told) {
        fprintf(stderr, "TOLD=%s: not a processor that processors.c knows\n", name ? name : "");
        _exit(EXIT_FAILURE);
    }
    struct sigaction action = {.sa_sigaction = answer, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    may_ask(0);
}
