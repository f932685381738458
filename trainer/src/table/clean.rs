//! What programs write into columns when they know nothing.

use std::collections::HashSet;

use super::columns::{Layout, Role};
use super::{MetaField, PartialMeta};

/// Rows of each recording from which on they are likely to be frames.
const FRAMES: usize = 30;

/// Names that openSMILE gives to a recording without a name.
const NO_NAMES: [&str; 4] = ["noname", "unknown", "unnamed", "none"];

/// Labels that say that there is none.
const NO_LABELS: [&str; 7] = [
    "unassigned",
    "unknown",
    "unlabelled",
    "unlabeled",
    "noclass",
    "none",
    "default",
];

/// Takes the names of a data frame's rows for those of the recordings, where there are no others and they are
/// no mere numbers.
pub(super) fn index(layout: &Layout, meta: &mut [PartialMeta]) -> Option<String> {
    let number = |m: &PartialMeta| m.index.as_ref().is_none_or(|i| i.parse::<f64>().is_ok());
    if layout.has(Role::Meta(MetaField::Path)) || meta.iter().all(number) {
        return None;
    }
    for m in meta.iter_mut() {
        m.path = m.index.take();
    }
    let example = meta.iter().find_map(|m| m.path.clone());
    example.map(|e| {
        format!("the names of the rows, such as {e:?}, are taken for those of the recordings")
    })
}

/// Forgets a name that every row has because nobody gave one.
pub(super) fn names(meta: &mut [PartialMeta]) -> Option<String> {
    let name = same(meta, |m| m.path.as_deref())?.to_owned();
    if !NO_NAMES.contains(&name.to_lowercase().as_str()) {
        return None;
    }
    for m in meta {
        m.path = None;
    }
    Some(format!(
        "every row is called {name:?}, as openSMILE does without the option -N (or -instname): the rows count as nameless"
    ))
}

/// Forgets a label that the extractor wrote into every row by itself; says so.
pub(super) fn labels(layout: &Layout, meta: &mut [PartialMeta]) -> Option<String> {
    if layout.emotion_is_sure {
        return None;
    }
    let column = layout.name_of(Role::Meta(MetaField::Emotion))?;
    if meta.iter().all(|m| m.emotion.is_none()) {
        return Some(format!("the column \"{column}\" is empty in every row"));
    }
    let label = same(meta, |m| m.emotion.as_deref())?.to_owned();
    if label.parse::<f64>().is_err() && !NO_LABELS.contains(&label.to_lowercase().as_str()) {
        return None;
    }
    let text = format!(
        "the column \"{column}\" holds {label:?} in every row, as openSMILE writes it when it is told no class, so it is no label (if it \
         is: --column emotion={column})"
    );
    for m in meta {
        m.emotion = None;
    }
    Some(text)
}

/// Says so if rows are more likely to be frames than utterances.
pub(super) fn frames(meta: &[PartialMeta]) -> Option<String> {
    let recordings: HashSet<&str> = meta.iter().filter_map(|m| m.path.as_deref()).collect();
    let several = !recordings.is_empty() && meta.len() / recordings.len() >= FRAMES;
    several.then(|| {
        format!(
            "{} rows of {} recordings: if these are low-level descriptors, a row a frame, let openSMILE write functionals, a row an \
             utterance",
            meta.len(),
            recordings.len()
        )
    })
}

/// What all rows have in common.
fn same(meta: &[PartialMeta], field: fn(&PartialMeta) -> Option<&str>) -> Option<&str> {
    let first = field(meta.first()?)?;
    meta.iter()
        .all(|m| field(m) == Some(first))
        .then_some(first)
}
