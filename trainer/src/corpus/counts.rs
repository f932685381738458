//! How many recordings a whole corpus has, and what is missing of it.

use std::collections::{BTreeMap, BTreeSet};

use super::import::Finding;
use super::{Corpus, Utterance};

/// The published counts of a corpus, with its default labels.
pub(super) struct Whole {
    /// The corpus, as people write it.
    pub name: &'static str,
    /// What the groups are.
    pub group: &'static str,
    pub groups: &'static [&'static str],
    /// Which group a recording is of.
    pub group_of: fn(&Utterance) -> Option<String>,
    /// By label: the recordings of each group; none where only their total is published.
    pub counts: &'static [(&'static str, &'static [usize])],
    /// Recordings of all labels and groups.
    pub total: usize,
}

impl Whole {
    /// A corpus of which only the number of recordings is published.
    pub const fn total_only(name: &'static str, total: usize) -> Self {
        Self {
            name,
            group: "",
            groups: &[],
            group_of: |_| None,
            counts: &[],
            total,
        }
    }

    /// How `corpus` differs from the whole, group by group; none if it does not.
    pub fn difference(&self, corpus: &Corpus) -> Option<Finding> {
        let here = corpus.utterances.len();
        let what = format!(
            "the whole {} has {} recordings of these labels, here are {here}",
            self.name, self.total
        );
        if self.counts.is_empty() {
            return (here != self.total).then(|| Finding::plain(what));
        }
        let mut here: BTreeMap<(String, &str), usize> = BTreeMap::new();
        for u in &corpus.utterances {
            let group = (self.group_of)(u).unwrap_or_default();
            *here.entry((group, &u.emotion)).or_insert(0) += 1;
        }
        let mut expected: BTreeMap<(String, &str), usize> = BTreeMap::new();
        for (label, counts) in self.counts {
            for (group, count) in self.groups.iter().zip(*counts) {
                expected.insert(((*group).to_owned(), label), *count);
            }
        }
        let count = |of: &BTreeMap<(String, &str), usize>, group: &str, label: &str| {
            of.get(&(group.to_owned(), label)).copied().unwrap_or(0)
        };
        let keys: BTreeSet<_> = here.keys().chain(expected.keys()).collect();
        let groups: BTreeSet<&String> = keys.iter().map(|(g, _)| g).collect();
        let mut examples = Vec::new();
        for group in groups {
            let labels = keys.iter().filter(|(g, _)| g == group).map(|(_, l)| *l);
            let labels: Vec<&str> = labels.collect();
            let sum = |of| labels.iter().map(|l| count(of, group, l)).sum::<usize>();
            let differing: Vec<String> = labels
                .iter()
                .filter(|l| count(&here, group, l) != count(&expected, group, l))
                .map(|l| {
                    let (n, of) = (count(&here, group, l), count(&expected, group, l));
                    format!("{l} {n} of {of}")
                })
                .collect();
            if differing.is_empty() {
                continue;
            }
            let (there, of) = (sum(&here), sum(&expected));
            let name = format!("{} {group}", self.group);
            examples.push(if there == 0 {
                format!("{name}: none of {of}")
            } else {
                format!("{name}: {there} of {of} ({})", differing.join(", "))
            });
        }
        (!examples.is_empty()).then_some(Finding { what, examples })
    }
}
