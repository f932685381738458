//! What a device has room for: the features that a model reads, and the budget that it must fit.

use ser_features::{FeatureGroup, FeatureGroups};
use serde::{Deserialize, Serialize};

/// Longest utterance that a budget can be made for, in seconds.
const LONGEST_S: f64 = 3600.0;

/// See `[features]` in [`DEFAULT_TOML`](super::DEFAULT_TOML).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeaturesConfig {
    /// Names of the groups that the model reads ([`FeatureGroup::name`]).
    pub groups: Vec<String>,
}

impl FeaturesConfig {
    /// The groups; names that are none are left out, but [`Config::from_toml`](super::Config::from_toml) lets none pass.
    pub fn set(&self) -> FeatureGroups {
        let groups = self.groups.iter();
        groups
            .filter_map(|name| FeatureGroup::from_name(name))
            .fold(FeatureGroups::NONE, FeatureGroups::with)
    }

    /// These groups.
    pub fn of(groups: FeatureGroups) -> Self {
        Self {
            groups: groups.iter().map(|group| group.name().to_owned()).collect(),
        }
    }

    // so that scores measured before there were groups belong to the same configuration
    pub(crate) fn is_default(&self) -> bool {
        self.set() == FeatureGroups::ALL
    }

    /// The key at fault and what is wrong with it.
    pub(super) fn problem(&self) -> Option<(&'static str, String)> {
        let mut names = self.groups.iter();
        let unknown = names.find(|name| FeatureGroup::from_name(name).is_none());
        let problem = match unknown {
            Some(name) => format!("names {name:?}; there are {}", FeatureGroups::ALL),
            None if self.groups.is_empty() => "must name a group".into(),
            None => return None,
        };
        Some(("features.groups", problem))
    }
}

/// See `[budget]` in [`DEFAULT_TOML`](super::DEFAULT_TOML).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetConfig {
    /// Flash of the whole program, [`parse_size`] says how written; empty: not limited.
    pub flash: String,
    /// RAM of the whole program.
    pub ram: String,
    /// Longest utterance, in seconds.
    pub utterance: f64,
}

impl BudgetConfig {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        self.flash.is_empty() && self.ram.is_empty()
    }

    /// The key at fault and what is wrong with it.
    pub(super) fn problem(&self) -> Option<(&'static str, String)> {
        for (key, size) in [("budget.flash", &self.flash), ("budget.ram", &self.ram)] {
            if !size.is_empty()
                && let Err(problem) = parse_size(size)
            {
                return Some((key, format!("= {problem}")));
            }
        }
        let fits = self.utterance > 0.0 && self.utterance <= LONGEST_S;
        (!fits).then(|| {
            let problem = format!("must be greater than 0 and at most {LONGEST_S} seconds");
            ("budget.utterance", problem)
        })
    }
}

/// Bytes of a size such as `262144`, `256K` or `1M` (1024 and 1024² bytes).
///
/// # Errors
/// What is wrong, for a message that names the option or key.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let wrong =
        || format!("{text:?} is no size: write bytes, or a whole number with K or M, such as 512K");
    let (digits, unit) = match text.strip_suffix(['K', 'k']) {
        Some(digits) => (digits, 1 << 10),
        None => match text.strip_suffix(['M', 'm']) {
            Some(digits) => (digits, 1 << 20),
            None => (text, 1),
        },
    };
    let number = digits.parse::<usize>().map_err(|_| wrong())?;
    number
        .checked_mul(unit)
        .filter(|&bytes| bytes > 0)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("64K"), Ok(65_536));
        assert_eq!(parse_size("2M"), Ok(2 << 20));
        assert_eq!(parse_size("1000"), Ok(1000));
        for bad in [
            "",
            "K",
            "0",
            "-1K",
            "1.5M",
            "99999999999999999999",
            "18446744073709551615M",
        ] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
