//! Settings from the command line: `--set classifier.epochs=20`.

use std::path::Path;

use toml::{Table, Value};

use super::keys::{collect_keys, suggest};
use super::{Config, ConfigError, DEFAULT_TOML, parse};

impl Config {
    /// The defaults, over them the file, over it the `settings`, each `KEY=VALUE` with the full path of a key; the
    /// later ones over the earlier. A value is of the key's type: texts need no quotation marks, lists are separated
    /// by commas.
    ///
    /// # Errors
    /// As [`read`](Self::read); a setting of another form, of an unknown key or another type.
    pub fn read_with(path: Option<&Path>, settings: &[String]) -> Result<Self, ConfigError> {
        let mut origin = "the built-in default configuration".to_owned();
        let mut layers = Vec::new();
        if let Some(path) = path {
            origin = path.display().to_string();
            layers.push(Self::read_table(path)?);
        }
        if !settings.is_empty() {
            // The file alone may be at fault, which is then said of it alone.
            Self::merge(&layers, &origin)?;
            origin = format!("{origin} with --set {}", settings.join(" --set "));
            for setting in settings {
                layers.push(parse_setting(setting)?);
            }
        }
        let config = Self::merge(&layers, &origin)?;
        config.check(&origin)?;
        Ok(config)
    }
}

/// The table that a setting stands for.
fn parse_setting(setting: &str) -> Result<Table, ConfigError> {
    let origin = || format!("--set {setting}");
    let wrong = |message: String| ConfigError::Type {
        origin: origin(),
        message,
    };
    let Some((key, text)) = setting.split_once('=') else {
        let message = "a setting is written KEY=VALUE, such as classifier.epochs=20".to_owned();
        return Err(wrong(message));
    };
    let (key, text) = (key.trim(), text.trim());
    let defaults = parse(DEFAULT_TOML, "the built-in default configuration")?;
    let parts: Vec<&str> = key.split('.').collect();
    let Some(default) = find(&defaults, &parts) else {
        let mut known = Vec::new();
        collect_keys(&defaults, "", &mut known);
        return Err(ConfigError::UnknownKey {
            origin: origin(),
            suggestion: suggest(key, &known),
            key: key.to_owned(),
        });
    };
    let value = match default {
        Value::Table(section) => {
            let keys: Vec<&str> = section.keys().map(String::as_str).collect();
            return Err(wrong(format!(
                "`{key}` is a section: set one of its keys, {}",
                keys.join(", ")
            )));
        }
        Value::Array(items) => Value::Array(
            list(text)
                .map(|item| typed(item, items.first()))
                .collect::<Result<_, _>>()
                .map_err(|e| wrong(format!("`{key}`: {e}")))?,
        ),
        one => typed(text, Some(one)).map_err(|e| wrong(format!("`{key}`: {e}")))?,
    };
    let nested = parts.iter().rev().fold(value, |inner, part| {
        Value::Table(Table::from_iter([((*part).to_owned(), inner)]))
    });
    match nested {
        Value::Table(table) => Ok(table),
        _ => Err(wrong("the key is empty".to_owned())),
    }
}

fn find<'t>(table: &'t Table, parts: &[&str]) -> Option<&'t Value> {
    let (first, rest) = parts.split_first()?;
    let value = table.get(*first)?;
    match (rest, value) {
        ([], value) => Some(value),
        (rest, Value::Table(inner)) => find(inner, rest),
        _ => None,
    }
}

/// The items of a list, with or without brackets.
fn list(text: &str) -> impl Iterator<Item = &str> {
    let inner = text
        .strip_prefix('[')
        .and_then(|t| t.strip_suffix(']'))
        .unwrap_or(text);
    inner.split(',').map(str::trim).filter(|t| !t.is_empty())
}

/// The text as a value of the type of `like`; without one, a text.
fn typed(text: &str, like: Option<&Value>) -> Result<Value, String> {
    let wrong = |wanted: &str| format!("{text:?} is not {wanted}");
    match like {
        Some(Value::Integer(_)) => text
            .parse()
            .map(Value::Integer)
            .map_err(|_| wrong("a whole number")),
        Some(Value::Float(_)) => text
            .parse()
            .map(Value::Float)
            .map_err(|_| wrong("a number")),
        Some(Value::Boolean(_)) => text
            .parse()
            .map(Value::Boolean)
            .map_err(|_| wrong("true or false")),
        _ => Ok(Value::String(unquoted(text).to_owned())),
    }
}

/// Without one pair of quotation marks around it.
fn unquoted(text: &str) -> &str {
    ['"', '\'']
        .into_iter()
        .find_map(|mark| text.strip_prefix(mark)?.strip_suffix(mark))
        .unwrap_or(text)
}
