/* Speech emotion recognition from C: samples in, a label out, by the static engine.
 *
 * Every function returns SER_OK (0) or one of the codes below. Nothing is printed, nothing exits, no other library is needed. A recogniser belongs to one
 * thread at a time; different recognisers are independent.
 */
#ifndef SER_RECOGNIZER_H
#define SER_RECOGNIZER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    SER_OK = 0,
    SER_NULL_POINTER = 1,
    /* not a flat model file, damaged, or made for other features: `ser-train export BUNDLE --engine static` writes one */
    SER_BAD_MODEL = 2,
    /* a sampling rate outside 8000..96000 Hz, or no length */
    SER_BAD_CONFIG = 3,
    /* NaN or infinity among the samples: none of them was taken */
    SER_NOT_FINITE = 4,
    /* the utterance is as long as it may be: what fits was taken, and a label can be had */
    SER_FULL = 5,
    /* no label below 70 ms */
    SER_TOO_SHORT = 6,
    /* samples far outside -1..1 made a feature overflow */
    SER_OVERFLOW = 7,
    /* no such label, or no result yet */
    SER_NO_RESULT = 8
};

typedef struct ser_recognizer ser_recognizer;

/* Makes a recogniser of utterances of up to max_seconds; the model's bytes are copied. On failure *out is NULL. */
int ser_recognizer_new(const void *model, size_t model_bytes, uint32_t sample_rate, double max_seconds, ser_recognizer **out);
/* Frees it; NULL is fine. */
void ser_recognizer_free(ser_recognizer *recognizer);

/* Take mono samples in chunks of any size: -1..1, or 16 bits. */
int ser_recognizer_push_f32(ser_recognizer *recognizer, const float *samples, size_t count);
int ser_recognizer_push_i16(ser_recognizer *recognizer, const int16_t *samples, size_t count);
/* Recognises everything since the start or the last reset; more may follow. */
int ser_recognizer_finish(ser_recognizer *recognizer, size_t *label);
/* Forgets the utterance. */
int ser_recognizer_reset(ser_recognizer *recognizer);

/* Number of labels; 0 for NULL. */
size_t ser_recognizer_labels(const ser_recognizer *recognizer);
/* Name of a label, UTF-8, valid as long as the recogniser; NULL if there is no such label. */
const char *ser_recognizer_label(const ser_recognizer *recognizer, size_t label);
/* Probability of a label in the last successful finish. */
int ser_recognizer_probability(const ser_recognizer *recognizer, size_t label, float *probability);

#ifdef __cplusplus
}
#endif
#endif
