//! What about a table is worth saying before anything is trained on it.

use std::collections::BTreeMap;

use super::FeatureTable;

/// Sampling rates that recorders, telephones and players use, in Hz.
const USUAL_RATES: [u32; 9] = [
    8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000,
];

impl FeatureTable {
    /// What is doubtful about how the recordings were heard, a sentence each, with a remedy.
    #[must_use]
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        let Some(hearing) = &self.feature_set.hearing else {
            return doubts;
        };
        if hearing.cut.is_none() {
            doubts.push(
                "the recordings were measured whole, pauses and noises included; a device cuts out the speech and \
                 hears something else: leave --whole away from `ser-train extract` unless a published protocol asks \
                 for it"
                    .to_owned(),
            );
        }
        if hearing.sample_rate.is_some() {
            return doubts;
        }
        let mut rates: BTreeMap<u32, usize> = BTreeMap::new();
        for rate in self.meta.iter().filter_map(|m| m.sample_rate) {
            *rates.entry(rate).or_default() += 1;
        }
        let listed: Vec<String> = rates
            .iter()
            .map(|(r, n)| format!("{r} Hz ({n} rows)"))
            .collect();
        if rates.len() > 1 {
            doubts.push(format!(
                "the recordings were measured at {} different rates, {}: features of different rates cannot be \
                 compared, and the rate may give the label away; `ser-train extract --rate 16000` brings all of them \
                 to one",
                rates.len(),
                listed.join(", ")
            ));
        }
        if let Some(odd) = rates.keys().find(|rate| !USUAL_RATES.contains(rate)) {
            doubts.push(format!(
                "the recordings were measured at {odd} Hz, which no usual device records at: every device will bring \
                 its audio to that rate first; `ser-train extract --rate 16000` makes a model for usual rates"
            ));
        }
        doubts
    }
}

#[cfg(test)]
mod tests {
    use ser_runtime::hearing::{Hearing, HearingInfo};

    use super::*;
    use crate::table::{FeatureSetTag, RowMeta};

    fn table(rates: &[u32], hearing: Option<Hearing>) -> FeatureTable {
        let meta = |rate: &u32| RowMeta {
            path: "a.wav".into(),
            corpus: "c".into(),
            speaker: "s".into(),
            session: None,
            gender: None,
            emotion: "sad".into(),
            sample_rate: Some(*rate),
            start_s: None,
            duration_s: None,
            copy: None,
        };
        FeatureTable {
            feature_set: FeatureSetTag {
                hearing: hearing.map(HearingInfo::from),
                ..FeatureSetTag::custom()
            },
            names: vec!["f".into()],
            rows: rates.len(),
            values: vec![0.0; rates.len()],
            meta: rates.iter().map(meta).collect(),
        }
    }

    #[test]
    fn odd_and_mixed_native_rates_and_whole_recordings_are_named() {
        assert!(
            table(&[16_000, 44_100], Some(Hearing::default()))
                .doubts()
                .is_empty()
        );
        assert!(
            table(&[16_000, 44_100], None).doubts().is_empty(),
            "made elsewhere"
        );
        let native = Hearing {
            sample_rate: None,
            ..Hearing::default()
        };
        assert!(table(&[16_000, 16_000], Some(native)).doubts().is_empty());
        let mixed = table(&[16_000, 24_414], Some(native)).doubts();
        assert_eq!(mixed.len(), 2, "{mixed:?}");
        assert!(mixed[0].contains("16000 Hz (1 rows)") && mixed[1].contains("24414 Hz"));
        let whole = table(&[16_000], Some(Hearing::WHOLE)).doubts();
        assert!(whole[0].contains("--whole"), "{whole:?}");
    }
}
