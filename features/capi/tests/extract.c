/* extract FILE: writes the features of a 16-bit mono PCM WAV file, one per line as the bits of a float in hex, or says what is wrong. */
#include "ser_features.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t le(const unsigned char *p, int n) {
    uint32_t v = 0;
    while (n-- > 0) v = v << 8 | p[n];
    return v;
}

int main(int argc, char **argv) {
    unsigned char header[44];
    char name[64];
    float features[SER_FEATURE_COUNT], row[SER_LLD_COUNT];
    int16_t chunk[333];
    size_t count, i;
    int status;
    ser_extractor *extractor = NULL;
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!file || fread(header, 1, sizeof header, file) != sizeof header || memcmp(header, "RIFF", 4)) {
        fprintf(stderr, "usage: extract FILE.wav\n");
        return 2;
    }
    if (ser_extractor_new(1, 100, SER_EMOBASE2010, &extractor) != SER_BAD_CONFIG || extractor) return 3;
    if (ser_extractor_push_i16(NULL, chunk, 1) != SER_NULL_POINTER) return 3;
    if (ser_extractor_new(le(header + 24, 4), 1000, SER_EMOBASE2010, &extractor) != SER_OK) return 3;
    if (ser_extractor_finish(extractor, features) != SER_TOO_SHORT) return 3;
    while ((count = fread(chunk, sizeof *chunk, sizeof chunk / sizeof *chunk, file)) > 0) {
        status = ser_extractor_push_i16(extractor, chunk, count);
        if (status != SER_OK) return 10 + status;
    }
    fclose(file);
    status = ser_extractor_finish(extractor, features);
    if (status != SER_OK) return 10 + status;
    if (ser_extractor_lld_rows(extractor) == 0 || ser_extractor_lld_row(extractor, 0, row) != SER_OK) return 4;
    if (ser_feature_name(SER_EMOBASE2010, 1581, name, sizeof name) != strlen("F0final__Turn_duration")) return 5;
    if (strcmp(name, "F0final__Turn_duration")) return 5;
    for (i = 0; i < SER_FEATURE_COUNT; i++) {
        uint32_t bits;
        memcpy(&bits, &features[i], sizeof bits);
        printf("%08x\n", (unsigned)bits);
    }
    ser_extractor_free(extractor);
    return 0;
}
