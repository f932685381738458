//! FLAC with wrong headers, damage and cuts.

mod common;

use common::Random;
use common::flac::{BLOCK, Flac};
use common::odd::{clean, odd, read};
use ser_runtime::audio::{AudioError, AudioWarning, decode_audio};

#[test]
fn flac_with_a_wrong_number_of_samples_or_sum_is_read() {
    let values: Vec<i16> = (0..1_000).map(|i| i * 31 - 9_000).collect();
    let expected: Vec<f32> = values.iter().map(|&v| f32::from(v) / 32_767.0).collect();
    let of = |total, md5| {
        Flac {
            total,
            md5,
            ..Flac::MONO
        }
        .file(&values)
    };
    assert_eq!(clean(&of(None, [0; 16])).samples, expected);
    assert_eq!(clean(&of(Some(0), [0; 16])).samples, expected);
    assert_eq!(odd(&of(None, [1; 16])), (1_000, AudioWarning::Md5));
    assert_eq!(
        odd(&of(Some(1_100), [0; 16])),
        (
            1_000,
            AudioWarning::Truncated {
                declared: 1_100,
                found: 1_000
            }
        )
    );
    // As with WAV, what is declared counts where more is there.
    for declared in [999, 960, 500, 1] {
        let bytes = of(Some(declared), [0; 16]);
        let (frames, warning) = odd(&bytes);
        assert_eq!(frames as u64, declared);
        assert_eq!(warning, AudioWarning::MoreThanDeclared { declared });
        assert_eq!(read(&bytes).unwrap().0.samples, expected[..frames]);
    }
    let mut anonymous = of(None, [0; 16]);
    anonymous[4] = 0x81;
    assert!(read(&anonymous).is_err(), "the rate is nowhere");
}

#[test]
fn damaged_flac_keeps_its_time() {
    let values: Vec<i16> = (0..2_000).map(|i| i * 16 - 9_000).collect();
    let expected: Vec<f32> = values.iter().map(|&v| f32::from(v) / 32_767.0).collect();
    let head = Flac::MONO.header(2_000);
    let frames = Flac::MONO.frames(&values);
    let file = |frames: &[Vec<u8>]| [&head[..], &frames.concat()].concat();
    let mut damaged = frames.clone();
    damaged[3][100] ^= 4;
    let (found, warning) = odd(&file(&damaged));
    assert_eq!(found, 2_000);
    assert!(
        matches!(
            warning,
            AudioWarning::Damaged {
                after: 576,
                silence: 192,
                ..
            }
        ),
        "{warning:?}"
    );
    let heard = read(&file(&damaged)).unwrap().0.samples;
    let silent = 3 * BLOCK..4 * BLOCK;
    for (index, (found, expected)) in heard.iter().zip(&expected).enumerate() {
        let expected = if silent.contains(&index) {
            0.0
        } else {
            *expected
        };
        assert_eq!(*found, expected, "{index}");
    }
    // Two frames of which the second half and the first half are gone.
    let mut cut = frames.clone();
    cut[4].truncate(200);
    cut[5].drain(..100);
    assert!(matches!(
        odd(&file(&cut)),
        (
            2_000,
            AudioWarning::Damaged {
                after: 768,
                silence: 384,
                ..
            }
        )
    ));
    // Cut off: all complete frames.
    let whole = file(&frames);
    for length in [whole.len() - 1, whole.len() - 300, head.len() + 500] {
        let (found, warning) = odd(&whole[..length]);
        assert_eq!(found, (length - head.len()) / frames[0].len() * BLOCK);
        assert!(matches!(
            warning,
            AudioWarning::Truncated {
                declared: 2_000,
                ..
            }
        ));
        assert_eq!(read(&whole[..length]).unwrap().0.samples, expected[..found]);
    }
    for length in 0..head.len() {
        assert!(read(&whole[..length]).is_err());
    }
    assert!(matches!(read(&head), Err(AudioError::Empty { .. })));
    // A frame that claims to be far away does not make silence of that length.
    let far = Flac::MONO.frames(&vec![1; BLOCK * 30_000]).pop().unwrap();
    let mut jump = frames[..2].to_vec();
    jump.extend([vec![0; 40], far]);
    let unknown = Flac {
        total: Some(0),
        ..Flac::MONO
    }
    .header(0);
    let (pcm, warnings) = read(&[&unknown[..], &jump.concat()].concat()).unwrap();
    assert_eq!(pcm.samples.len(), 3 * BLOCK);
    assert!(matches!(
        warnings[..],
        [AudioWarning::Damaged { silence: 0, .. }]
    ));
}

#[test]
fn hostile_flac_never_panics() {
    let mut random = Random::new(77);
    let file = Flac {
        channels: 2,
        ..Flac::MONO
    }
    .file(&[900; 4 * BLOCK]);
    for round in 0..5_000 {
        let mut bytes = file.clone();
        for _ in 0..=random.below(6) {
            let near = if round % 2 == 0 { 80 } else { bytes.len() };
            let at = random.below(near);
            bytes[at] = random.below(256) as u8;
        }
        bytes.truncate(bytes.len() - random.below(80));
        if let Ok((pcm, _)) = read(&bytes) {
            // As many as there were, and silence for what else there was room for.
            assert!(pcm.samples.len() <= 70_000 * 80, "{}", pcm.samples.len());
        }
    }
    for _ in 0..300 {
        let noise: Vec<u8> = (0..400).map(|_| random.below(256) as u8).collect();
        let header = Flac {
            total: Some(0),
            ..Flac::MONO
        }
        .header(0);
        let subframe = [&header[..], &file[42..52], &noise].concat();
        let _ = decode_audio(&subframe, "x");
    }
}
