/* The 1582 emobase2010 features of an utterance, streaming. See the Rust crate ser-features for what they mean.
 *
 * Link libser_features_capi (static: also -lm -lpthread -ldl). No function is to be called on one extractor from two threads at once.
 */
#ifndef SER_FEATURES_H
#define SER_FEATURES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Features of an utterance, and low-level descriptors of a 10-ms frame. */
#define SER_FEATURE_COUNT 1582
#define SER_LLD_COUNT 38

/* Feature sets. */
#define SER_EMOBASE2010 0
#define SER_IS10_PARALING_COMPAT 1

/* Results. */
#define SER_OK 0
#define SER_NULL_POINTER 1
#define SER_BAD_CONFIG 2    /* rate outside 8000..96000 Hz, max_frames 0, unknown feature set, or no memory */
#define SER_NOT_FINITE 3    /* a sample is NaN or infinite: nothing of the chunk was taken */
#define SER_FULL 4          /* longer than max_frames: the samples that fit are kept, finish gives their features */
#define SER_TOO_SHORT 5     /* shorter than 70 ms */
#define SER_OVERFLOW 6      /* samples far outside -1..1 made a feature overflow */

typedef struct ser_extractor ser_extractor;

/* Makes an extractor for utterances of up to max_frames frames of 10 ms. To be freed with ser_extractor_free. */
int ser_extractor_new(uint32_t sample_rate, size_t max_frames, int feature_set, ser_extractor **out);

/* Takes samples on the scale -1..1, in chunks of any size. */
int ser_extractor_push_f32(ser_extractor *extractor, const float *samples, size_t count);

/* Takes 16-bit samples. */
int ser_extractor_push_i16(ser_extractor *extractor, const int16_t *samples, size_t count);

/* Writes the SER_FEATURE_COUNT features of everything pushed since the start or the last reset. */
int ser_extractor_finish(ser_extractor *extractor, float *features);

/* Rows of SER_LLD_COUNT smoothed low-level descriptors that are ready, and one of them (SER_FULL beyond the last). */
size_t ser_extractor_lld_rows(const ser_extractor *extractor);
int ser_extractor_lld_row(const ser_extractor *extractor, size_t row, float *descriptors);

/* Forgets the utterance, keeps the tables. */
int ser_extractor_reset(ser_extractor *extractor);

/* Frees an extractor; NULL is allowed. */
void ser_extractor_free(ser_extractor *extractor);

/* Writes the name of a feature, cut to length - 1 characters, and a 0; returns its full length, 0 for an unknown feature or set. */
size_t ser_feature_name(int feature_set, size_t index, char *name, size_t length);

#ifdef __cplusplus
}
#endif

#endif
