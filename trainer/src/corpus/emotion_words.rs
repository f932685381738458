//! Names of emotions, to tell folders of emotions from folders of speakers.

/// Beginnings of words for emotions, in English and in the languages of corpora that are read here; short ones are
/// whole words.
const WORDS: &str = "ang angr anger mad furious rage disgust dis fear fea afraid scare anxi anxious happ hap joy joyful \
    glad amuse excit exc delight neutr neu calm relax sad sadness sorrow sor melanch depress grief surpris sur ps pleasantsurpris \
    bored boredom bor frustrat fru contempt love tender sleepy sarcas stress irrit positiv negativ pos neg wut \u{e4}rger aerger \
    freude trauer angst ekel langeweile rabbia rab gioia gio tristezza tri paura pau enojo alegria miedo asco col\u{e8}re colere \
    tristesse joie peur";

/// Abbreviations that count only as whole words.
const SHORT: usize = 3;

/// Whether the name is a word for an emotion, with or without marks and numbers around it (`03_Angry`).
pub(super) fn is_emotion(name: &str) -> bool {
    let word: String = name
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphabetic())
        .collect();
    WORDS.split_whitespace().any(|b| {
        if b.chars().count() <= SHORT {
            word == b
        } else {
            word.starts_with(b)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_other_names() {
        for name in [
            "Angry", "anger", "03_Angry", "HAP", "sad", "sadness", "Wut", "neutral", "pos",
        ] {
            assert!(is_emotion(name), "{name}");
        }
        for name in [
            "anna", "Actor_01", "speaker", "conny", "suresh", "train", "",
        ] {
            assert!(!is_emotion(name), "{name}");
        }
    }
}
