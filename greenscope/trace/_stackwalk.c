/* Stacks without the GIL: reads the interpreter's frames of a thread while that goes on running.
 *
 * Whoever stalls may hold the GIL in C, so asking for it would find nothing out. Every read goes through
 * the kernel, which says "there is no such memory" instead of killing the process; every loop and every
 * text has a bound. What changes while it is read gives a shorter or a wrong stack, and nothing worse.
 * A greenlet's frames end at its root, because greenlet cuts the interpreter's chain there.
 *
 * How frames lie in memory is the interpreter's own business and differs from version to version: 3.11, 3.12
 * and 3.13 are known here, from their own headers; with another one there are no stacks.
 */
#define Py_BUILD_CORE
#include "_watch.h"

#include <internal/pycore_frame.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#define LONGEST_TABLE (1 << 20) /* bytes of one code object's line numbers */

/* A container may refuse the call, but not a process's own memory as a file. */
static int
peek_file(uintptr_t from, void *to, size_t size)
{
    int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : pread(fd, to, size, (off_t) from);
    if (fd >= 0)
        close(fd);
    return got == (ssize_t) size ? 0 : -1;
}

int
peek(uintptr_t from, void *to, size_t size)
{
    struct iovec here = {to, size}, there = {(void *) from, size};
    if (from == 0 || size == 0)
        return -1;
    ssize_t got = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
    if (got < 0 && (errno == EPERM || errno == ENOSYS))
        return peek_file(from, to, size);
    return got == (ssize_t) size ? 0 : -1;
}

#define PEEK(from, to) peek((uintptr_t) (from), &(to), sizeof(to))

#if PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030E0000 && !defined(Py_GIL_DISABLED)

static int
is_a(uintptr_t object, PyTypeObject *type)
{
    PyObject head;
    return PEEK(object, head) == 0 && head.ob_type == type;
}

static uintptr_t
frame_code(const _PyInterpreterFrame *frame)
{
#if PY_VERSION_HEX >= 0x030D0000
    return (uintptr_t) frame->f_executable;
#else
    return (uintptr_t) frame->f_code;
#endif
}

static uintptr_t
frame_at(const _PyInterpreterFrame *frame)
{
#if PY_VERSION_HEX >= 0x030D0000
    return (uintptr_t) frame->instr_ptr;
#else
    return (uintptr_t) frame->prev_instr;
#endif
}

static int
walk(uintptr_t at, Place *places, int limit)
{
    _PyInterpreterFrame frame;
    int count = 0;
    /* A frame more than is kept for each, at most, is between Python and C, and none of Python's. */
    for (int steps = 0; at != 0 && count < limit && steps < 2 * limit; steps++) {
        if (PEEK(at, frame) < 0)
            break;
        at = (uintptr_t) frame.previous;
#if PY_VERSION_HEX >= 0x030C0000
        if (frame.owner == FRAME_OWNED_BY_CSTACK)
            continue;
#endif
        places[count].code = frame_code(&frame);
        places[count].at = frame_at(&frame);
        count++;
    }
    return count;
}

int
walk_thread(uintptr_t thread, Place *places, int limit)
{
    PyThreadState state;
    if (PEEK(thread, state) < 0)
        return 0;
#if PY_VERSION_HEX >= 0x030D0000
    return walk((uintptr_t) state.current_frame, places, limit);
#else
    _PyCFrame frame;
    if (PEEK(state.cframe, frame) < 0)
        return 0;
    return walk((uintptr_t) frame.current_frame, places, limit);
#endif
}

int
walk_frame(PyObject *frame, Place *places, int limit)
{
    return walk((uintptr_t) ((struct _frame *) frame)->f_frame, places, limit);
}

/* The text of a str, as UTF-8, its end if it is too long; what would break a line of a stack becomes "?". */
static int
read_text(uintptr_t object, char *text, size_t size)
{
    PyCompactUnicodeObject head;
    Py_UCS4 wide[256];
    uintptr_t data;
    size_t used = 0;
    if (!is_a(object, &PyUnicode_Type) || peek(object, &head, sizeof(PyASCIIObject)) < 0)
        return -1;
    PyASCIIObject *ascii = (PyASCIIObject *) &head;
    int narrow = ascii->state.ascii;
    size_t kind = narrow ? 1 : ascii->state.kind, length = (size_t) ascii->length, most = (size - 1) / (narrow ? 1 : 4);
    if (!ascii->state.compact || (kind != 1 && kind != 2 && kind != 4) || ascii->length < 0)
        return -1;
    data = object + (narrow ? sizeof(PyASCIIObject) : sizeof(PyCompactUnicodeObject));
    if (length > most) {
        data += (length - most) * kind;
        length = most;
    }
    while (length > 0) {
        size_t count = length < 256 ? length : 256;
        if (peek(data, wide, count * kind) < 0)
            return -1;
        for (size_t i = 0; i < count; i++) {
            uint32_t c = kind == 1 ? ((uint8_t *) wide)[i] : kind == 2 ? ((uint16_t *) wide)[i] : wide[i];
            /* Of what is ASCII no character takes more than a byte, whatever has come in its place meanwhile. */
            if (c < 0x20 || c == 0x7F || (narrow && c > 0x7F) || (c >= 0xD800 && c < 0xE000) || c > 0x10FFFF)
                c = '?';
            if (c < 0x80) {
                text[used++] = (char) c;
            } else if (c < 0x800) {
                text[used++] = (char) (0xC0 | c >> 6);
                text[used++] = (char) (0x80 | (c & 0x3F));
            } else if (c < 0x10000) {
                text[used++] = (char) (0xE0 | c >> 12);
                text[used++] = (char) (0x80 | (c >> 6 & 0x3F));
                text[used++] = (char) (0x80 | (c & 0x3F));
            } else {
                text[used++] = (char) (0xF0 | c >> 18);
                text[used++] = (char) (0x80 | (c >> 12 & 0x3F));
                text[used++] = (char) (0x80 | (c >> 6 & 0x3F));
                text[used++] = (char) (0x80 | (c & 0x3F));
            }
        }
        data += count * kind;
        length -= count;
    }
    text[used] = 0;
    return 0;
}

/* A code object's location table, read a piece at a time. */
typedef struct {
    uintptr_t at;
    size_t left, have, next;
    uint8_t piece[512];
} Table;

static int
table_byte(Table *table)
{
    if (table->next == table->have) {
        size_t count = table->left < sizeof table->piece ? table->left : sizeof table->piece;
        if (peek(table->at, table->piece, count) < 0)
            return -1;
        table->at += count;
        table->left -= count;
        table->have = count;
        table->next = 0;
    }
    return table->piece[table->next++];
}

/* Numbers in the table are sixes of bits, lowest first, bit 6 says that more follow; signed ones have their
 * sign in bit 0. */
static int
table_signed(Table *table)
{
    unsigned value = 0, shift = 0;
    int byte;
    do {
        if ((byte = table_byte(table)) < 0)
            return 0;
        value |= (unsigned) (byte & 63) << shift;
        shift += 6;
    } while (byte & 64 && shift < 30);
    return value & 1 ? -(int) (value >> 1) : (int) (value >> 1);
}

/* The line of an instruction (Objects/locations.md of the interpreter): each entry begins with a byte that has
 * bit 7 set, its form in bits 3 to 6, and how many instructions it is for, less one, below. */
static int
line_of(uintptr_t table_object, int first_line, size_t instruction)
{
    PyBytesObject head;
    Table table = {0};
    if (!is_a(table_object, &PyBytes_Type) || peek(table_object, &head, offsetof(PyBytesObject, ob_sval)) < 0 ||
        head.ob_base.ob_size < 0 || head.ob_base.ob_size > LONGEST_TABLE)
        return 0;
    table.at = table_object + offsetof(PyBytesObject, ob_sval);
    table.left = (size_t) head.ob_base.ob_size;
    int line = first_line, byte = table_byte(&table);
    size_t start = 0;
    while (byte >= 0) {
        int form = byte >> 3 & 15, none = form == 15;
        size_t end = start + (size_t) (byte & 7) + 1;
        if (form == 13 || form == 14)
            line += table_signed(&table);
        else if (form >= 10 && form <= 12)
            line += form - 10;
        if (instruction < end)
            return none ? 0 : line;
        start = end;
        do
            byte = table_byte(&table);
        while (byte >= 0 && !(byte & 128));
    }
    return 0;
}

int
name_place(const Place *place, PlaceName *name)
{
    PyCodeObject code;
    uintptr_t first = place->code + offsetof(PyCodeObject, co_code_adaptive);
    /* A frame that has just begun stands before its first instruction. */
    size_t instruction = place->at > first ? (place->at - first) / sizeof(_Py_CODEUNIT) : 0;
    if (!is_a(place->code, &PyCode_Type) || peek(place->code, &code, offsetof(PyCodeObject, co_code_adaptive)) < 0 ||
        read_text((uintptr_t) code.co_filename, name->file, sizeof name->file) < 0 ||
        read_text((uintptr_t) code.co_qualname, name->function, sizeof name->function) < 0)
        return -1;
    name->line = line_of((uintptr_t) code.co_linetable, code.co_firstlineno, instruction);
    return 0;
}

#else

int
walk_thread(uintptr_t Py_UNUSED(thread), Place *Py_UNUSED(places), int Py_UNUSED(limit))
{
    return 0;
}

int
walk_frame(PyObject *Py_UNUSED(frame), Place *Py_UNUSED(places), int Py_UNUSED(limit))
{
    return 0;
}

int
name_place(const Place *Py_UNUSED(place), PlaceName *Py_UNUSED(name))
{
    return -1;
}

#endif
