/* stream MODEL.ser VOICE.wav: feeds a 16-bit mono WAV file to the recogniser, 10 ms at a time, and prints label and probabilities. */
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

static unsigned number(const unsigned char *p, int bytes) {
    unsigned value = 0;
    while (bytes--) value = value << 8 | p[bytes];
    return value;
}

static int fail(const char *what, int code) {
    fprintf(stderr, "%s: error %d\n", what, code);
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: stream MODEL.ser VOICE.wav\n");
        return 2;
    }
    size_t model_bytes, wav_bytes;
    unsigned char *model = read_file(argv[1], &model_bytes);
    unsigned char *wav = read_file(argv[2], &wav_bytes);
    if (!model) return fail(argv[1], -1);
    if (!wav || wav_bytes < 12 || memcmp(wav, "RIFF", 4) || memcmp(wav + 8, "WAVE", 4)) return fail(argv[2], -1);

    unsigned rate = 0;
    const unsigned char *data = NULL;
    size_t data_bytes = 0;
    for (size_t at = 12; at + 8 <= wav_bytes;) {
        size_t length = number(wav + at + 4, 4);
        const unsigned char *body = wav + at + 8;
        if (length > wav_bytes - at - 8) length = wav_bytes - at - 8;
        if (!memcmp(wav + at, "fmt ", 4) && length >= 16) {
            /* PCM, one channel, 16 bits */
            if (number(body, 2) != 1 || number(body + 2, 2) != 1 || number(body + 14, 2) != 16) return fail(argv[2], -1);
            rate = number(body + 4, 4);
        } else if (!memcmp(wav + at, "data", 4)) {
            data = body;
            data_bytes = length;
        }
        at += 8 + length + length % 2;
    }
    if (!rate || !data) return fail(argv[2], -1);

    ser_recognizer *recognizer;
    int code = ser_recognizer_new(model, model_bytes, rate, 30.0, &recognizer);
    if (code) return fail("ser_recognizer_new", code);
    free(model); /* it was copied */
    size_t left = data_bytes / 2;
    while (left > 0 && code == SER_OK) {
        int16_t chunk[160];
        size_t count = left < 160 ? left : 160;
        for (size_t i = 0; i < count; i++, data += 2) chunk[i] = (int16_t)number(data, 2);
        code = ser_recognizer_push_i16(recognizer, chunk, count);
        left -= count;
    }
    if (code == SER_FULL) fprintf(stderr, "only the first 30 s count\n");
    else if (code) return fail("ser_recognizer_push_i16", code);

    size_t label;
    if ((code = ser_recognizer_finish(recognizer, &label))) return fail("ser_recognizer_finish", code);
    printf("label %s\n", ser_recognizer_label(recognizer, label));
    for (size_t i = 0; i < ser_recognizer_labels(recognizer); i++) {
        float p;
        uint32_t bits;
        if ((code = ser_recognizer_probability(recognizer, i, &p))) return fail("ser_recognizer_probability", code);
        memcpy(&bits, &p, sizeof bits);
        printf("  %-10s %.6f %08x\n", ser_recognizer_label(recognizer, i), p, (unsigned)bits);
    }
    ser_recognizer_free(recognizer);
    free(wav);
    return 0;
}
