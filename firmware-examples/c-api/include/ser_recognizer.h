/* Speech emotion recognition from C: an endless stream of samples in, events out.
 *
 * The recogniser finds what is speech, recognises each utterance when it ends, and says why where
 * there is no label. With adaptation it gets used to the voice and the line.
 *
 *     ser_recognizer *r;
 *     int code = ser_recognizer_new(model, model_bytes, 48000, NULL, &r);
 *     if (code) return fail(ser_last_error());
 *     while (more) ser_recognizer_push_i16(r, samples, count, on_event, user);
 *     ser_recognizer_finish(r, on_event, user);
 *     ser_recognizer_free(r);
 *
 * RESULTS    A function that returns int returns SER_OK (0) or another code below, and has then
 *            done nothing unless it says otherwise; ser_last_error() has the words. Nothing is
 *            printed, nothing exits, no file is read, no other library is needed.
 * THREADS    A recogniser belongs to one thread at a time: calls with the same one must not
 *            overlap, and may come from different threads one after the other. Different
 *            recognisers are independent. Inside a callback every call with the recogniser that
 *            called is refused with SER_BUSY, or gives what is given for NULL; the labels' names
 *            can be asked for at any time.
 * MEMORY     All of it is taken in ser_recognizer_new; push and finish allocate nothing. About
 *            0.15 MB, 15.6 kB per second of the longest utterance, and the model, which is copied:
 *            its bytes may lie anywhere, at any alignment, and be freed afterwards. Too little
 *            memory is SER_NO_MEMORY.
 * POINTERS   Samples are aligned as their type is. NULL is refused with SER_NULL_POINTER unless
 *            said otherwise. What a pointer points to is trusted to have the stated length.
 * PLACES     start and end count samples from the first one after ser_recognizer_new or the last
 *            ser_recognizer_reset, at the rate of the stream. The events do not depend on how the
 *            samples were divided into calls, bit for bit.
 */
#ifndef SER_RECOGNIZER_H
#define SER_RECOGNIZER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What functions return. */
enum {
    SER_OK = 0,
    SER_NULL_POINTER = 1,
    /* no flat model file, damaged, or for other features than this program computes;
     * `ser-train export BUNDLE --engine static` writes one */
    SER_BAD_MODEL = 2,
    /* a sampling rate outside 8000..96000 Hz, or an option out of its range */
    SER_BAD_OPTION = 3,
    /* NaN or infinity among the samples: none of them was taken */
    SER_NOT_FINITE = 4,
    /* samples that are not aligned as their type is, or more than memory can hold */
    SER_BAD_POINTER = 5,
    /* the bytes are no state of adaptation, are damaged, or belong to another model */
    SER_BAD_STATE = 6,
    SER_NO_MEMORY = 7,
    /* called from within a callback of the same recogniser */
    SER_BUSY = 8,
    /* a fault of this library; the recogniser takes nothing more and can only be freed */
    SER_INTERNAL = 9
};

/* The words for what went wrong in this thread's last call that did not return SER_OK; "" before
 * the first. Valid until this thread's next call that fails. */
const char *ser_last_error(void);

typedef struct ser_recognizer ser_recognizer;

/* How a recogniser works. ser_options_init fills it with the defaults; change what you need. */
typedef struct ser_options {
    /* sizeof(ser_options), so that a later library knows an older program */
    uint32_t size;
    /* Longest utterance in milliseconds, 500..60000; a longer one is cut there and goes on.
     * Default 10000. */
    uint32_t max_utterance_ms;
    /* An update each time that so many milliseconds of an utterance were heard, 70..60000;
     * 0 (default) for none. */
    uint32_t update_ms;
    /* No label below this probability, 0..1. Negative (default): what the model asks for. */
    float abstain_below;
    /* Whether features are adapted to what was heard, and learnt from: 1 (default) or 0. */
    int32_t adapt;
} ser_options;

/* NULL is fine: nothing happens. */
void ser_options_init(ser_options *options);

/* Makes a recogniser of a mono stream at sample_rate Hz (8000..96000, any whole number: it is
 * brought to the model's rate here). options may be NULL: the defaults. On failure *out is NULL. */
int ser_recognizer_new(const void *model, size_t model_bytes, uint32_t sample_rate,
                       const ser_options *options, ser_recognizer **out);
/* Frees it; NULL is fine. Not from within a callback: then nothing happens. */
void ser_recognizer_free(ser_recognizer *recognizer);

/* What happened. */
enum {
    /* an utterance started: start, end = start, continued */
    SER_EVENT_START = 0,
    /* it is going on: all of SER_EVENT_END but cut, for what was heard of it so far */
    SER_EVENT_UPDATE = 1,
    /* it is over, or was cut for its length */
    SER_EVENT_END = 2,
    /* what had started is no utterance: start, end, continued, reason */
    SER_EVENT_DISCARDED = 3,
    /* it is over and could not be recognised (samples far out of range): start, end, continued;
     * the stream goes on */
    SER_EVENT_FAILED = 4
};

/* Why there is no label. */
enum {
    SER_REASON_NONE = 0,
    SER_REASON_NO_SPEECH = 1,
    SER_REASON_TOO_SHORT = 2,
    SER_REASON_SILENT = 3,
    SER_REASON_UNVOICED = 4,
    SER_REASON_NOT_IN_RANGE = 5,
    SER_REASON_LOW_CONFIDENCE = 6,
    /* one that this header does not know: see reason_text */
    SER_REASON_OTHER = 7
};

/* What is wrong with an utterance; those that are unfit have no label and no probabilities. */
enum {
    SER_FLAG_TOO_SHORT = 1,     /* below 0.3 s; unfit */
    SER_FLAG_SILENT = 2,        /* below -60 dBFS; unfit */
    SER_FLAG_CLIPPED = 4,       /* over 0.1 % of the samples at full scale */
    SER_FLAG_UNVOICED = 8,      /* too little voice; unfit */
    SER_FLAG_NARROW_BAND = 16,  /* telephone speech in a model that hears more */
    SER_FLAG_NOT_IN_RANGE = 32  /* floats far beyond -1..1; unfit */
};

/* Everything that an event points to is valid until the callback returns. Later versions may add
 * fields at the end: do not copy it by its size into places of your own. */
typedef struct ser_event {
    int32_t kind;
    /* index of the label, or -1: then there is a reason */
    int32_t label;
    int32_t reason;
    /* SER_FLAG_... joined by | */
    uint32_t flags;
    /* first sample of the utterance, and first one after it or after what was heard of it */
    uint64_t start;
    uint64_t end;
    /* the same in seconds */
    double start_s;
    double end_s;
    /* whether it goes on where the one before was cut; whether it was cut for its length */
    int32_t continued;
    int32_t cut;
    /* name of the label, NULL without one; words for the reason, NULL with a label. UTF-8. */
    const char *label_text;
    const char *reason_text;
    /* probability of each label, in the order of their indices; NULL and 0 where there are none */
    const float *probabilities;
    size_t probability_count;
    /* level in dB of full scale (-120 for silence), largest magnitude, share of clipped samples */
    float rms_dbfs;
    float peak;
    float clipped_fraction;
    /* seconds of voice in it; negative where the model does not need to know */
    float voiced_s;
} ser_event;

/* Is called from within push and finish, in the order of the stream. It must return: no longjmp,
 * no C++ exception. user is what push or finish was given. */
typedef void (*ser_on_event)(void *user, const ser_event *event);

/* Take mono samples in chunks of any size: floats on the scale -1..1, or 16 bits. on_event may be
 * NULL: nobody wants to know. samples may be NULL where count is 0. */
int ser_recognizer_push_f32(ser_recognizer *recognizer, const float *samples, size_t count,
                            ser_on_event on_event, void *user);
int ser_recognizer_push_i16(ser_recognizer *recognizer, const int16_t *samples, size_t count,
                            ser_on_event on_event, void *user);
/* The stream ends here, or pauses for long: an utterance that is going on ends. More samples may
 * follow. */
int ser_recognizer_finish(ser_recognizer *recognizer, ser_on_event on_event, void *user);
/* Forgets the stream, and an utterance that is going on without an event: places count from 0
 * again. What was adapted stays. */
int ser_recognizer_reset(ser_recognizer *recognizer);

/* Samples heard; 0 for NULL. */
uint64_t ser_recognizer_position(const ser_recognizer *recognizer);
/* 1 while an utterance is going on, else 0; 0 for NULL. */
int ser_recognizer_in_speech(const ser_recognizer *recognizer);
/* 1 if the recordings that the model was trained on were cut as this stream is; 0 if not, or if
 * the model does not say: it may then be less sure than its scores promise. 0 for NULL. */
int ser_recognizer_cut_as_trained(const ser_recognizer *recognizer);
/* The probability below which there is no label; 0 for NULL. */
float ser_recognizer_abstain_below(const ser_recognizer *recognizer);

/* Number of labels; 0 for NULL. */
size_t ser_recognizer_labels(const ser_recognizer *recognizer);
/* Name of a label, UTF-8, valid as long as the recogniser; NULL if there is no such label. */
const char *ser_recognizer_label(const ser_recognizer *recognizer, size_t label);

/* Adaptation. Only utterances that are speech, with enough voice, are learnt from.
 *
 * The state is a block of bytes that may be kept and loaded on any machine into a recogniser of
 * the same model, for the same speaker or line. */

/* Switches it on (not 0) or off; what was learnt stays. */
int ser_recognizer_adapt(ser_recognizer *recognizer, int on);
/* How much was learnt, in ordinary utterances; 0 for NULL. */
double ser_recognizer_learnt(const ser_recognizer *recognizer);
/* Forgets what was learnt. */
int ser_recognizer_forget(ser_recognizer *recognizer);
/* Bytes of the state; 0 for NULL. */
size_t ser_recognizer_state_size(const ser_recognizer *recognizer);
/* Writes the state to bytes, of which there are ser_recognizer_state_size, else SER_BAD_STATE. */
int ser_recognizer_save_state(const ser_recognizer *recognizer, void *bytes, size_t size);
/* Goes on from a state. */
int ser_recognizer_load_state(ser_recognizer *recognizer, const void *bytes, size_t size);

#ifdef __cplusplus
}
#endif
#endif
