//! Feature sets of our own, recognised by the names of their columns, whoever wrote the table.

use std::collections::{HashMap, HashSet};

use ser_features::{FeatureSet, feature_names};

use super::advice::some;

/// Share of a set's names from which on a table is likely to be a damaged one of that set.
const NEARLY: f64 = 0.5;

/// Columns that are a whole feature set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// The set.
    pub set: FeatureSet,
    /// For each column that was looked at, its place in the set, if it belongs to it.
    pub place: Vec<Option<usize>>,
    /// Whether the columns stand in another order.
    pub reordered: bool,
    /// A column whose name another program has changed, with the name that it had.
    pub renamed: Option<(String, String)>,
}

/// The feature set all of whose names are among `columns`; of `sets`, the first. Names count as the same
/// that differ only in punctuation and case: R and others allow no brackets in a name.
pub(super) fn recognise(columns: &[&str], sets: &[FeatureSet]) -> Option<Known> {
    sets.iter()
        .find_map(|&set| place(columns, set, str::to_owned).or_else(|| place(columns, set, plain)))
}

/// `columns` as `set`, where names are compared by their `key`.
fn place(columns: &[&str], set: FeatureSet, key: fn(&str) -> String) -> Option<Known> {
    let expected = feature_names(set);
    if columns.len() < expected.len() {
        return None;
    }
    let index: HashMap<String, usize> = expected
        .iter()
        .enumerate()
        .map(|(i, name)| (key(name), i))
        .collect();
    let mut taken = vec![false; expected.len()];
    let mut found = Vec::with_capacity(columns.len());
    let mut renamed = None;
    for column in columns {
        let at = index
            .get(&key(column))
            .copied()
            .filter(|&i| !std::mem::replace(&mut taken[i], true));
        if let Some(i) = at
            && expected[i] != **column
        {
            renamed.get_or_insert_with(|| ((*column).to_owned(), expected[i].clone()));
        }
        found.push(at);
    }
    taken.iter().all(|t| *t).then(|| Known {
        set,
        reordered: !found.iter().flatten().is_sorted(),
        place: found,
        renamed,
    })
}

/// Letters and digits in lower case, with one underscore for whatever stands between them.
fn plain(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            text.push(c.to_ascii_lowercase());
        } else if !text.ends_with('_') {
            text.push('_');
        }
    }
    text
}

/// What keeps `columns` from being `set`: the names that are missing and those that are not in it.
pub(super) fn difference(columns: &[&str], set: FeatureSet) -> String {
    let expected = feature_names(set);
    let there: HashSet<String> = columns.iter().map(|c| plain(c)).collect();
    let known: HashSet<String> = expected.iter().map(|e| plain(e)).collect();
    let missing: Vec<&str> = expected
        .iter()
        .map(String::as_str)
        .filter(|e| !there.contains(&plain(e)))
        .collect();
    let extra: Vec<&str> = columns
        .iter()
        .copied()
        .filter(|c| !known.contains(&plain(c)))
        .collect();
    let mut text = format!(
        "{} of the {} columns of {} are missing ({})",
        missing.len(),
        expected.len(),
        set.id(),
        some(missing.iter().copied())
    );
    if !extra.is_empty() {
        text.push_str(&format!(
            "; {} others are not in it ({})",
            extra.len(),
            some(extra)
        ));
    }
    text
}

/// The set that `columns` are most of, if they are.
pub(super) fn nearly(columns: &[&str]) -> Option<FeatureSet> {
    let there: HashSet<String> = columns.iter().map(|c| plain(c)).collect();
    FeatureSet::ALL
        .into_iter()
        .map(|set| {
            let names = feature_names(set);
            let found = names.iter().filter(|n| there.contains(&plain(n))).count();
            (found as f64 / names.len() as f64, set)
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(share, _)| *share >= NEARLY)
        .map(|(_, set)| set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_still_tell_the_features_apart() {
        for set in FeatureSet::ALL {
            let names = feature_names(set);
            let plain: HashSet<String> = names.iter().map(|n| plain(n)).collect();
            assert_eq!(plain.len(), names.len());
        }
    }
}
