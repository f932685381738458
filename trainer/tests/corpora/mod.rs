//! Files in the layouts of published corpora.

#![allow(
    dead_code,
    reason = "each test program uses its own part of this module"
)]

use std::path::{Path, PathBuf};

/// A folder that goes away with the test.
pub struct Tree(tempfile::TempDir);

impl Tree {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    fn at(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    pub fn write(&self, file: &str, bytes: &[u8]) {
        let path = self.at(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.at(file)).unwrap()
    }

    pub fn remove(&self, file: &str) {
        std::fs::remove_file(self.at(file)).unwrap();
    }
}

/// Half a second of noise as 16-bit WAV, other for each seed.
pub fn wav(seed: u32, sample_rate: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let samples = (0..8000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as i16 / 4
    });
    let data: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + data.len() as u32).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend(sample_rate.to_le_bytes());
    bytes.extend((2 * sample_rate).to_le_bytes());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}

/// The same recording with a chunk of metadata before its samples.
pub fn remuxed(wav: &[u8]) -> Vec<u8> {
    let chunk = b"LIST\x0e\0\0\0INFOISFT\x02\0\0\0x\0";
    let mut bytes = wav[..36].to_vec();
    bytes.extend(chunk);
    bytes.extend(&wav[36..]);
    let size = (bytes.len() - 8) as u32;
    bytes[4..8].copy_from_slice(&size.to_le_bytes());
    bytes
}

/// An utterance in a file of EmoEvaluation: its label, then what each annotator said, then an empty line; six lines.
pub fn iemocap_line(number: usize, id: &str, label: &str) -> String {
    let start = number as f64 * 3.5;
    format!(
        "[{start:.4} - {:.4}]\t{id}\t{label}\t[2.5000, 3.0000, 2.5000]\nC-E2:\tNeutral;\t()\nC-E4:\tSadness; Other;\t(tired)\n\
         A-E3:\tval 3; act 2; dom  2;\t()\nA-F1:\tval 3; act 4; dom  2;\t()\n\n",
        start + 2.25
    )
}

/// An utterance in Evalution.txt: its label, then a line for each annotator, then an empty line.
pub fn msp_line(number: usize, id: &str, label: &str) -> String {
    let mean = 1.0 + number as f64 % 4.0;
    format!(
        "UTD-IMPROV-{id}.avi; {label}; A:{mean:.6}; V:3.200000; D:NaN ; N:4.200000;\n\
         AX1B2C3; Neutral; Neutral,Tired; A:2.000000; V:3.000000; D:3.000000; N:5.000000;\n\
         AX9Y8Z7; Happy; Happy; A:2.000000; V:4.000000; D:NaN; N:4.000000;\n\n"
    )
}

/// Label lines for 10039 utterances in five sessions, as the published IEMOCAP has them, with empty files for audio.
pub fn whole_iemocap() -> Tree {
    // ang, hap, exc, neu, sad of each session; then those of all sessions that the paper does not use.
    let used = [
        [229, 135, 143, 384, 194],
        [137, 117, 210, 362, 197],
        [240, 135, 151, 320, 305],
        [327, 65, 238, 258, 143],
        [170, 143, 299, 384, 245],
    ];
    let unused = [
        ("fru", 1849),
        ("fea", 40),
        ("sur", 107),
        ("dis", 2),
        ("oth", 3),
        ("xxx", 2507),
    ];
    let mut labels: Vec<(usize, &str)> = Vec::new();
    for (session, counts) in used.iter().enumerate() {
        for (label, count) in ["ang", "hap", "exc", "neu", "sad"].into_iter().zip(counts) {
            labels.extend((0..*count).map(|_| (session, label)));
        }
    }
    for (label, count) in unused {
        labels.extend((0..count).map(|i| (i % 5, label)));
    }
    assert_eq!(labels.len(), 10_039);
    let tree = Tree::new();
    let mut texts: std::collections::BTreeMap<String, String> = Default::default();
    let mut turns = [0; 5];
    for (session, label) in labels {
        let turn = turns[session];
        turns[session] += 1;
        let dialogue = format!("Ses0{}F_impro{:02}", session + 1, turn / 100);
        let who = if turn % 2 == 0 { 'F' } else { 'M' };
        let id = format!("{dialogue}_{who}{:03}", turn % 100);
        let session = format!("Session{}", session + 1);
        if turn % 100 == 0 {
            std::fs::create_dir_all(tree.at(&format!("{session}/sentences/wav/{dialogue}")))
                .unwrap();
        }
        let audio = tree.at(&format!("{session}/sentences/wav/{dialogue}/{id}.wav"));
        std::fs::File::create(audio).unwrap();
        texts
            .entry(format!("{session}/dialog/EmoEvaluation/{dialogue}.txt"))
            .or_default()
            .push_str(&iemocap_line(turn, &id, label));
    }
    for (file, text) in texts {
        tree.write(&file, text.as_bytes());
    }
    tree
}

/// Label lines for 8438 utterances, as the published MSP-IMPROV has them, with empty files for audio.
pub fn whole_msp_improv() -> Tree {
    // A, H, N, S, O, X of each recording condition.
    let counts = [
        ('P', [38, 1372, 1164, 66, 11, 134]),
        ('R', [169, 88, 241, 80, 3, 39]),
        ('S', [470, 1048, 1789, 633, 70, 371]),
        ('T', [115, 136, 283, 106, 1, 11]),
    ];
    let tree = Tree::new();
    let (mut text, mut total) = (String::new(), 0);
    for (condition, counts) in counts {
        let labels = ["A", "H", "N", "S", "O", "X"].into_iter().zip(counts);
        let labels = labels.flat_map(|(label, count)| (0..count).map(move |_| label));
        for (turn, label) in labels.enumerate() {
            let speaker = format!("{}0{}", ['F', 'M'][turn % 2], 1 + turn / 2 % 6);
            let sentence = 1 + turn / 12 / 99;
            let folder = format!("Audio/session{}/S{sentence:02}A/{condition}", &speaker[2..]);
            let id = format!(
                "S{sentence:02}A-{speaker}-{condition}-FM{:02}",
                1 + turn / 12 % 99
            );
            std::fs::create_dir_all(tree.at(&folder)).unwrap();
            std::fs::File::create(tree.at(&format!("{folder}/MSP-IMPROV-{id}.wav"))).unwrap();
            text.push_str(&msp_line(turn, &id, label));
            total += 1;
        }
    }
    assert_eq!(total, 8438);
    tree.write("Evalution.txt", text.as_bytes());
    tree
}
