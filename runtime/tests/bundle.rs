//! Bundles: written whole or not at all, and refused, by name, for everything that is wrong with them.

mod common;

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use common::Random;
use common::tiny::Tiny;
use ser_runtime::bundle::{
    self, Bundle, BundleError, CHECKSUMS_FILE, FORMAT_VERSION, MANIFEST_FILE, Manifest, Score,
    sha256_hex,
};
use serde_json::{Value, json};

/// A fresh bundle; small, of a feature set made elsewhere, unless `width` is that of emobase2010.
fn fresh(width: usize) -> (tempfile::TempDir, PathBuf, Manifest) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("model");
    let manifest = Tiny::new(width, 7).write(&dir);
    (folder, dir, manifest)
}

/// The refusal of the bundle whose manifest went through `change`.
fn refusal(width: usize, change: impl FnOnce(&mut Value)) -> BundleError {
    let (_folder, dir, _) = fresh(width);
    let path = dir.join(MANIFEST_FILE);
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    fs::write(&path, serde_json::to_vec_pretty(&manifest).unwrap()).unwrap();
    let error = Bundle::open(&dir).unwrap_err();
    assert!(
        error.to_string().contains(&dir.display().to_string()),
        "the bundle is not named: {error}"
    );
    error
}

/// The field that is complained about.
fn field(width: usize, change: impl FnOnce(&mut Value)) -> String {
    match refusal(width, change) {
        BundleError::Field { field, .. } => field,
        other => panic!("{other}"),
    }
}

#[test]
fn what_is_written_is_read() {
    for width in [4, 1582] {
        let (_folder, dir, manifest) = fresh(width);
        let bundle = Bundle::open(&dir).unwrap();
        let tiny = Tiny::new(width, 7);
        assert_eq!(
            (bundle.manifest, bundle.encoder, bundle.classifier),
            (manifest.clone(), tiny.encoder(), tiny.classifier())
        );
        assert_eq!(
            manifest.files.keys().collect::<Vec<_>>(),
            ["MODEL_CARD.md", "classifier.onnx", "encoder.onnx"]
        );
        assert_eq!(
            manifest.files["encoder.onnx"].sha256,
            sha256_hex(&tiny.encoder())
        );
        let sums = manifest.files["encoder.onnx"].sha256.clone()
            + &manifest.files["classifier.onnx"].sha256;
        assert_eq!(manifest.id, sha256_hex(sums.as_bytes())[..16]);
        assert_eq!(
            manifest.feature_set.names.is_some(),
            width == 4,
            "built-in names are not repeated"
        );
        assert_eq!(manifest.feature_names().len(), width);
    }
}

#[test]
fn the_hash_of_emobase2010_is_that_of_the_reference_names() {
    let (_folder, _, manifest) = fresh(1582);
    // sha256sum of the list of names of openSMILE's emobase2010, one a line.
    assert_eq!(
        manifest.feature_set.names_sha256,
        "9f6782668b4cdf309d785f5bcdd2b4f3bdb17edcf219ea4b7354b73e7e8af9ae"
    );
}

#[test]
fn any_changed_byte_is_refused() {
    let (_folder, dir, _) = fresh(4);
    let mut random = Random::new(99);
    for name in [
        MANIFEST_FILE,
        CHECKSUMS_FILE,
        "encoder.onnx",
        "classifier.onnx",
        "MODEL_CARD.md",
    ] {
        let path = dir.join(name);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << random.below(8);
            fs::write(&path, &damaged).unwrap();
            assert!(
                Bundle::open(&dir).is_err(),
                "byte {at} of {name}: {:?} -> {:?}",
                whole[at] as char,
                damaged[at] as char
            );
        }
        for changed in [
            &whole[..whole.len() - 1],
            &[whole.as_slice(), b"\n"].concat(),
        ] {
            fs::write(&path, changed).unwrap();
            assert!(
                Bundle::open(&dir).is_err(),
                "length {} of {name}",
                changed.len()
            );
        }
        fs::write(&path, &whole).unwrap();
    }
    Bundle::open(&dir).unwrap();
}

#[test]
fn a_changed_graph_is_named_with_both_hashes() {
    let (_folder, dir, manifest) = fresh(4);
    let path = dir.join("encoder.onnx");
    let mut bytes = fs::read(&path).unwrap();
    bytes[40] ^= 1;
    fs::write(&path, &bytes).unwrap();
    match Bundle::open(&dir) {
        Err(BundleError::Sha256 {
            file,
            found,
            expected,
            ..
        }) => {
            assert_eq!(
                (file.as_str(), found, &expected),
                (
                    "encoder.onnx",
                    sha256_hex(&bytes),
                    &manifest.files["encoder.onnx"].sha256
                )
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn missing_things_are_named() {
    let missing = Bundle::open("/no/such/bundle").unwrap_err();
    assert!(
        matches!(missing, BundleError::NotABundle { .. })
            && missing.to_string().contains("/no/such/bundle"),
        "{missing}"
    );
    let (_folder, dir, _) = fresh(4);
    assert!(
        matches!(
            Bundle::open(dir.join("encoder.onnx")),
            Err(BundleError::NotABundle { .. })
        ),
        "a file is not a bundle"
    );
    for name in [
        "encoder.onnx",
        "classifier.onnx",
        "MODEL_CARD.md",
        CHECKSUMS_FILE,
    ] {
        let path = dir.join(name);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(
            matches!(Bundle::open(&dir), Err(BundleError::MissingFile { file, .. }) if file == name),
            "{name}"
        );
        fs::write(&path, bytes).unwrap();
    }
    fs::remove_file(dir.join(MANIFEST_FILE)).unwrap();
    assert!(
        matches!(Bundle::open(&dir), Err(BundleError::NotABundle { reason, .. }) if reason.contains(MANIFEST_FILE))
    );
}

#[test]
fn another_format_version_is_refused_before_anything_else() {
    let error = refusal(4, |m| {
        m["format_version"] = json!(FORMAT_VERSION + 1);
        m["a_field_of_the_future"] = json!(true);
    });
    assert!(
        matches!(error, BundleError::FormatVersion { found, .. } if found == FORMAT_VERSION + 1),
        "{error}"
    );
    let text = refusal(4, |m| m["format_version"] = json!("one")).to_string();
    assert!(text.contains("bundle.json"), "{text}");
}

#[test]
fn other_features_are_refused() {
    let unknown = refusal(1582, |m| m["feature_set"]["id"] = json!("emobase2020"));
    assert!(
        matches!(&unknown, BundleError::FeatureSet { found, .. } if found == "emobase2020"),
        "{unknown}"
    );
    // The right number of features, other names: a sibling set.
    let sibling = refusal(1582, |m| {
        m["feature_set"]["id"] = json!("is10-paraling-compat")
    });
    let hash = refusal(1582, |m| {
        m["feature_set"]["names_sha256"] = json!(sha256_hex(b"other"))
    });
    assert!(matches!(hash, BundleError::NamesHash { .. }), "{hash}");
    assert!(
        matches!(sibling, BundleError::NamesHash { .. }),
        "{sibling}"
    );
    let renamed = refusal(4, |m| m["feature_set"]["names"][0] = json!("another"));
    assert!(
        matches!(renamed, BundleError::NamesHash { .. }),
        "{renamed}"
    );
    let older = refusal(1582, |m| m["feature_set"]["extractor_version"] = json!("0"));
    assert!(
        matches!(&older, BundleError::ExtractorVersion { found, .. } if found == "0"),
        "{older}"
    );
    assert_eq!(
        field(1582, |m| m["feature_set"]["names"] = json!(["x"])),
        "feature_set.names"
    );
    assert_eq!(
        field(1582, |m| m["feature_set"]["count"] = json!(1581)),
        "feature_set.count"
    );
}

#[test]
fn contradictions_are_refused() {
    assert_eq!(
        field(4, |m| m["encoder"]["input_dim"] = json!(5)),
        "encoder.input_dim"
    );
    assert_eq!(
        field(4, |m| m["encoder"]["output_dim"] = json!(6)),
        "classifier.input_dim"
    );
    assert_eq!(
        field(4, |m| m["classifier"]["output_dim"] = json!(2)),
        "classifier.output_dim"
    );
    assert_eq!(
        field(4, |m| m["labels"] = json!(["angry", "angry", "sad"])),
        "labels"
    );
    assert_eq!(field(4, |m| m["labels"] = json!(["only"])), "labels");
    assert_eq!(field(4, |m| m["labels"] = json!(["a", "b", " "])), "labels");
    assert_eq!(
        field(4, |m| m["normaliser"]["scale"] = json!([1.0])),
        "normaliser"
    );
    assert_eq!(
        field(4, |m| m["normaliser"]["clip"] = json!(0.0)),
        "normaliser"
    );
    assert_eq!(
        field(4, |m| m["calibration"]["temperature"] = json!(0.0)),
        "calibration.temperature"
    );
    assert_eq!(
        field(4, |m| m["calibration"]["temperature"] = json!(-1.0)),
        "calibration.temperature"
    );
    assert_eq!(field(4, |m| m["id"] = json!("0123456789abcdef")), "id");
    assert_eq!(
        field(4, |m| m["classifier"]["file"] = json!("encoder.onnx")),
        "classifier.file"
    );
    assert_eq!(
        field(4, |m| m["encoder"]["file"] = json!("other.onnx")),
        "encoder.file"
    );
    let unknown = refusal(4, |m| m["colour"] = json!("blue")).to_string();
    assert!(unknown.contains("colour"), "{unknown}");
    let missing = refusal(4, |m| drop(m.as_object_mut().unwrap().remove("labels"))).to_string();
    assert!(missing.contains("labels"), "{missing}");
}

#[test]
fn no_name_leads_out_of_the_folder() {
    let evil = [
        "../secret.onnx",
        "/etc/passwd",
        "sub/encoder.onnx",
        "..",
        ".",
        "",
        ".hidden",
        "a\\b",
        "C:x",
        "nul\0",
        "bundle.json",
        "SHA256SUMS",
    ];
    for name in evil {
        assert_eq!(
            field(4, |m| m["encoder"]["file"] = json!(name)),
            "encoder.file",
            "{name:?}"
        );
        let listed = field(4, |m| {
            let info = m["files"]["MODEL_CARD.md"].clone();
            m["files"]
                .as_object_mut()
                .unwrap()
                .insert(name.to_owned(), info);
        });
        assert_eq!(listed, "files", "{name:?}");
    }
}

#[cfg(unix)]
#[test]
fn links_lead_nowhere_else() {
    use std::os::unix::fs::symlink;
    let (folder, dir, _) = fresh(4);
    let outside = folder.path().join("encoder.onnx");
    fs::rename(dir.join("encoder.onnx"), &outside).unwrap();
    symlink(&outside, dir.join("encoder.onnx")).unwrap();
    assert!(
        matches!(Bundle::open(&dir), Err(BundleError::Outside { file, .. }) if file == "encoder.onnx")
    );
    fs::remove_file(dir.join("encoder.onnx")).unwrap();
    fs::create_dir(dir.join("encoder.onnx")).unwrap();
    assert!(
        matches!(Bundle::open(&dir), Err(BundleError::Outside { .. })),
        "a folder is not a file"
    );
    fs::remove_dir(dir.join("encoder.onnx")).unwrap();
    fs::rename(&outside, dir.join("encoder.onnx")).unwrap();
    let link = folder.path().join("current");
    symlink(&dir, &link).unwrap();
    Bundle::open(&link).expect("a link to a bundle is a bundle");
}

#[test]
fn writing_replaces_bundles_and_nothing_else() {
    let (folder, dir, first) = fresh(4);
    let second = Tiny::new(6, 8).write(&dir);
    assert_ne!(first.id, second.id);
    assert_eq!(Bundle::open(&dir).unwrap().manifest, second);

    let other = folder.path().join("thesis");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("chapter1.txt"), "years of work").unwrap();
    let tiny = Tiny::new(4, 7);
    let (encoder, classifier) = (tiny.encoder(), tiny.classifier());
    let files: [(&str, &[u8]); 2] = [("encoder.onnx", &encoder), ("classifier.onnx", &classifier)];
    assert!(matches!(
        bundle::write(&other, &tiny.manifest(), &files),
        Err(BundleError::Occupied { .. })
    ));
    assert_eq!(
        fs::read_to_string(other.join("chapter1.txt")).unwrap(),
        "years of work"
    );

    // A bad manifest, or a graph left out, changes nothing.
    let mut bad = tiny.manifest();
    bad.labels.pop();
    assert!(bundle::write(&dir, &bad, &files).is_err());
    assert!(
        matches!(bundle::write(&dir, &tiny.manifest(), &files[..1]), Err(BundleError::Field { field, .. }) if field == "classifier.file")
    );
    for (value, std) in [(f64::NAN, None), (0.5, Some(f64::INFINITY))] {
        let mut unreadable = tiny.manifest();
        unreadable.scores.push(Score {
            protocol: String::new(),
            metric: "UAR".to_owned(),
            value,
            std,
            detail: Value::Null,
        });
        let error = bundle::write(&dir, &unreadable, &files).unwrap_err();
        assert!(error.to_string().contains("not finite"), "{error}");
    }
    let evil: [(&str, &[u8]); 3] = [files[0], files[1], ("../evil", b"")];
    assert!(bundle::write(&dir, &tiny.manifest(), &evil).is_err());
    assert_eq!(Bundle::open(&dir).unwrap().manifest, second);
    bundle::write(
        folder.path().join("deep/er/model"),
        &tiny.manifest(),
        &files,
    )
    .expect("folders above are made");
    let mut left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(
        left,
        ["deep", "model", "thesis"],
        "nothing else is left behind"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_write_that_fails_half_way_loses_nothing() {
    // The last file's name is longer than the file system takes: the others are on the disk by then.
    let (folder, dir, first) = fresh(4);
    let tiny = Tiny::new(4, 7);
    let (encoder, classifier) = (tiny.encoder(), tiny.classifier());
    let long = "é".repeat(127) + "xx";
    let files: [(&str, &[u8]); 3] = [
        ("encoder.onnx", &encoder),
        ("classifier.onnx", &classifier),
        (&long, b""),
    ];
    let error = bundle::write(&dir, &tiny.manifest(), &files).unwrap_err();
    assert!(error.to_string().contains("too long"), "{error}");
    assert_eq!(Bundle::open(&dir).unwrap().manifest, first);
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "no half bundle is left"
    );
}

#[test]
fn hostile_manifests_never_panic() {
    let (_folder, dir, _) = fresh(4);
    let path = dir.join(MANIFEST_FILE);
    let whole = fs::read(&path).unwrap();
    let mut random = Random::new(3);
    for _ in 0..2_000 {
        let mut bytes = whole.clone();
        for _ in 0..=random.below(5) {
            let (at, length) = (random.below(bytes.len()), random.below(20));
            let end = (at + length).min(bytes.len());
            match random.below(3) {
                0 => drop(bytes.drain(at..end)),
                1 => bytes[at..end]
                    .iter_mut()
                    .for_each(|b| *b = random.below(256) as u8),
                _ => drop(bytes.splice(at..end, *b"99999999999999999999")),
            }
            if bytes.is_empty() {
                bytes.push(b'{');
            }
        }
        fs::write(&path, &bytes).unwrap();
        assert!(bytes == whole || Bundle::open(&dir).is_err());
    }
    fs::write(&path, "[".repeat(100_000)).unwrap();
    assert!(Bundle::open(&dir).is_err());
}

#[test]
fn sha256sum_agrees() {
    let (_folder, dir, _) = fresh(4);
    match std::process::Command::new("sha256sum")
        .args(["-c", "--strict", CHECKSUMS_FILE])
        .current_dir(&dir)
        .output()
    {
        Ok(output) => assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        ),
        Err(error) => {
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: sha256sum cannot be run: {error}"
            );
        }
    }
}
