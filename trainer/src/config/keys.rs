//! Laying one configuration over another, and finding the key that was meant.

use super::ConfigError;

fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() {
        key.into()
    } else {
        format!("{prefix}.{key}")
    }
}

/// The full paths of all keys of `table`, sections among them.
pub(super) fn collect_keys(table: &toml::Table, prefix: &str, out: &mut Vec<String>) {
    for (key, value) in table {
        let path = join(prefix, key);
        if let toml::Value::Table(inner) = value {
            collect_keys(inner, &path, out);
        }
        out.push(path);
    }
}

/// Lays `user` over `base` key by key; every key must be among the `known` ones.
pub(super) fn lay_over(
    base: &mut toml::Table,
    user: toml::Table,
    prefix: &str,
    known: &[String],
    origin: &str,
) -> Result<(), ConfigError> {
    for (key, value) in user {
        let path = join(prefix, &key);
        match (base.get_mut(&key), value) {
            (None, _) => {
                return Err(ConfigError::UnknownKey {
                    origin: origin.into(),
                    suggestion: suggest(&path, known),
                    key: path,
                });
            }
            (Some(toml::Value::Table(inner)), toml::Value::Table(user)) => {
                lay_over(inner, user, &path, known, origin)?;
            }
            (Some(toml::Value::Table(_)), _) => {
                return Err(ConfigError::Type {
                    origin: origin.into(),
                    message: format!("`{path}` is a section: write [{path}] and its keys below"),
                });
            }
            (Some(slot), value) => *slot = value,
        }
    }
    Ok(())
}

/// The known key that `path` most likely stands for: the same last part in another section first, then by spelling.
pub(super) fn suggest(path: &str, known: &[String]) -> Option<String> {
    let last = |p: &str| p.rsplit('.').next().unwrap_or(p).to_owned();
    let wanted = last(path);
    known
        .iter()
        .map(|k| {
            let whole = strsim::jaro_winkler(path, k);
            let tail = strsim::jaro_winkler(&wanted, &last(k));
            (whole.max(tail) + 0.1 * whole, k)
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(score, _)| *score > 0.75)
        .map(|(_, k)| k.clone())
}

/// The nearest of `known` to `word`, where one is near enough to be meant.
pub(crate) fn nearest_word<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    known
        .into_iter()
        .map(|k| {
            (
                strsim::jaro_winkler(&word.to_lowercase(), &k.to_lowercase()),
                k,
            )
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(score, _)| *score > 0.7)
        .map(|(_, k)| k)
}
