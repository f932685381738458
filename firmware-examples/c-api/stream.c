/* stream MODEL.ser RATE [STATE]: 16-bit mono PCM on standard input, of any length, to a line per
 * utterance on standard output:
 *
 *     START END LABEL            in seconds; "- REASON" where there is no label
 *       LABEL PROBABILITY BITS   one a label
 *       flag WORDS               what else should be known
 *
 * STATE is a file that adaptation goes on from, and is written to at the end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ser_recognizer.h"

static unsigned char *read_file(const char *name, size_t *size) {
    FILE *file = fopen(name, "rb");
    if (!file) return NULL;
    size_t capacity = 1 << 16;
    unsigned char *bytes = malloc(capacity);
    *size = 0;
    while (bytes) {
        *size += fread(bytes + *size, 1, capacity - *size, file);
        if (*size < capacity) break;
        capacity *= 2;
        unsigned char *larger = realloc(bytes, capacity);
        if (!larger) free(bytes);
        bytes = larger;
    }
    fclose(file);
    return bytes;
}

/* Writes beside the file and renames: a full disk costs the new state, not the old one. */
static int write_file(const char *name, const void *bytes, size_t size) {
    char part[4096];
    if (snprintf(part, sizeof part, "%s.part", name) >= (int)sizeof part) return -1;
    FILE *file = fopen(part, "wb");
    if (!file) return -1;
    int good = fwrite(bytes, 1, size, file) == size;
    good = !fclose(file) && good;
    return good && !rename(part, name) ? 0 : -1;
}

static void on_event(void *user, const ser_event *event) {
    const ser_recognizer *recognizer = user;
    unsigned rate_ms_start = (unsigned)(event->start_s * 1000.0 + 1e-6);
    unsigned rate_ms_end = (unsigned)(event->end_s * 1000.0 + 1e-6);
    if (event->kind == SER_EVENT_START || event->kind == SER_EVENT_UPDATE) return;
    printf("%u.%03u %u.%03u ", rate_ms_start / 1000, rate_ms_start % 1000, rate_ms_end / 1000,
           rate_ms_end % 1000);
    if (event->kind == SER_EVENT_FAILED) printf("failed\n");
    else if (event->label >= 0) printf("%s\n", event->label_text);
    else printf("- %s\n", event->reason_text);
    for (size_t i = 0; i < event->probability_count; i++) {
        uint32_t bits;
        memcpy(&bits, &event->probabilities[i], sizeof bits);
        printf("  %-10s %.6f %08x\n", ser_recognizer_label(recognizer, i),
               event->probabilities[i], (unsigned)bits);
    }
    if (event->flags & SER_FLAG_CLIPPED) printf("  flag clipped\n");
    if (event->flags & SER_FLAG_NARROW_BAND) printf("  flag narrow band\n");
    fflush(stdout);
}

static int fail(const char *what, const char *why) {
    fprintf(stderr, "stream: %s: %s\n", what, why);
    return 1;
}

int main(int argc, char **argv) {
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: stream MODEL.ser RATE [STATE] < 16-bit-mono.raw\n");
        return 2;
    }
    size_t model_bytes = 0;
    unsigned char *model = read_file(argv[1], &model_bytes);
    if (!model) return fail(argv[1], "cannot be read");

    ser_options options;
    ser_options_init(&options);
    ser_recognizer *recognizer;
    uint32_t rate = (uint32_t)strtoul(argv[2], NULL, 10);
    if (ser_recognizer_new(model, model_bytes, rate, &options, &recognizer))
        return fail(argv[1], ser_last_error());
    free(model); /* it was copied */
    if (!ser_recognizer_cut_as_trained(recognizer))
        fprintf(stderr, "stream: the model's training recordings were cut otherwise, or it does not say\n");

    const char *state_file = argc == 4 ? argv[3] : NULL;
    size_t state_bytes = 0;
    unsigned char *state = state_file ? read_file(state_file, &state_bytes) : NULL;
    if (state && ser_recognizer_load_state(recognizer, state, state_bytes))
        return fail(state_file, ser_last_error());
    free(state);

    unsigned char bytes[320];
    size_t got;
    while ((got = fread(bytes, 1, sizeof bytes, stdin)) > 0) {
        int16_t chunk[160];
        size_t count = got / 2;
        for (size_t i = 0; i < count; i++)
            chunk[i] = (int16_t)(bytes[2 * i] | bytes[2 * i + 1] << 8);
        if (ser_recognizer_push_i16(recognizer, chunk, count, on_event, recognizer))
            return fail("standard input", ser_last_error());
        if (got % 2) return fail("standard input", "ends within a sample");
    }
    if (ferror(stdin)) return fail("standard input", "cannot be read");
    if (ser_recognizer_finish(recognizer, on_event, recognizer))
        return fail("standard input", ser_last_error());
    printf("learnt %.3f\n", ser_recognizer_learnt(recognizer));

    int code = 0;
    if (state_file) {
        state_bytes = ser_recognizer_state_size(recognizer);
        state = malloc(state_bytes);
        if (!state || ser_recognizer_save_state(recognizer, state, state_bytes)
            || write_file(state_file, state, state_bytes))
            code = fail(state_file, "the state cannot be saved");
        free(state);
    }
    ser_recognizer_free(recognizer);
    return code;
}
