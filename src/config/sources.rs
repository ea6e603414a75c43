//! Where settings come from: built-in defaults, a file, the environment.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use config::{ConfigBuilder, ConfigError, File, FileFormat, Source, Value, ValueKind, builder::DefaultState};

use super::{Environment, Mistakes, settings::Settings};

const DEFAULTS: &str = include_str!("../../config/default.toml");

/// The platform's own variables, and the settings that they stand for.
const PLATFORM: [(&str, &str); 6] = [
    ("PORT", "server.port"),
    ("PORT_MESSAGES_USERS", "socket.port"),
    ("MONGODB_URI", "mongodb.uri"),
    ("REDIS_HOST", "redis.host"),
    ("REDIS_PORT", "redis.port"),
    ("JWT_SECRET", "auth.secret"),
];

const PREFIX: &str = "OCTAVO__";

/// Reads all sources; what is wrong is reset to its default and reported in the list, so that the rest is read too.
///
/// # Errors
/// When a source cannot be read at all.
pub(super) fn read(file: Option<PathBuf>, env: &Environment) -> Result<(Settings, Vec<String>), Mistakes> {
    let defaults = parse(DEFAULTS).map_err(fatal)?;
    let mut layers = Layers { known: keys(&defaults)?, names: HashMap::new(), mistakes: Vec::new() };
    let mut builder = config::Config::builder().add_source(defaults.clone());
    if let Some(path) = file {
        let file = read_file(&path)?;
        for key in keys(&file)? {
            let name = format!("{key} in {}", path.display());
            if layers.knows(&name, &key, str::to_owned) {
                let value = file.get::<Value>(&key).map_err(fatal)?;
                builder = builder.set_override(&key, value).map_err(fatal)?;
            }
        }
    }
    let set = env.iter().filter(|(_, value)| !value.is_empty());
    for (variable, value) in set {
        if let Some(key) = variable.strip_prefix(PREFIX) {
            let key = key.to_lowercase().replace("__", ".");
            if layers.knows(variable, &key, long_name) {
                builder = builder.set_override(&key, value.as_str()).map_err(fatal)?;
            }
        } else if let Some(rest) = variable.strip_prefix("OCTAVO_").filter(|rest| rest.contains("__")) {
            layers.mistakes.push(format!("{variable}: two underscores are missing; write {PREFIX}{rest}"));
        } else if let Some(key) = layers.known.iter().find(|key| is_flat(variable, key)) {
            let meant = long_name(key);
            layers.mistakes.push(format!("{variable}: two underscores are missing; write {meant}"));
        }
    }
    for (variable, key) in PLATFORM {
        if let Some(value) = env.get(variable).filter(|value| !value.is_empty()) {
            layers.names.insert(key.to_owned(), variable.to_owned());
            builder = builder.set_override(key, value.as_str()).map_err(fatal)?;
        }
    }
    typed(builder, &defaults, layers)
}

/// What is known about the sources.
struct Layers {
    /// All keys that exist.
    known: Vec<String>,
    /// The name by which a key was set, in the source that counts.
    names: HashMap<String, String>,
    mistakes: Vec<String>,
}

impl Layers {
    /// Notes that `key` is set under `name`; `false`, and a mistake, if there is no such key.
    fn knows(&mut self, name: &str, key: &str, show: fn(&str) -> String) -> bool {
        if self.known.iter().any(|known| known == key) {
            self.names.insert(key.to_owned(), name.to_owned());
            return true;
        }
        let near = self.known.iter().min_by_key(|candidate| distance(candidate, key));
        self.mistakes.push(match near.filter(|candidate| distance(candidate, key) <= 3) {
            Some(meant) => format!("{name}: no such setting; did you mean {}?", show(meant)),
            None => format!("{name}: no such setting; config/default.toml lists them all"),
        });
        false
    }
}

/// Makes [`Settings`], resetting each value that does not fit to its default until all fit.
fn typed(
    mut builder: ConfigBuilder<DefaultState>,
    defaults: &config::Config,
    mut layers: Layers,
) -> Result<(Settings, Vec<String>), Mistakes> {
    loop {
        let merged = builder.clone().build();
        let error = match merged.map(serde_path_to_error::deserialize::<_, Settings>) {
            Ok(Ok(settings)) => return Ok((settings, layers.mistakes)),
            Ok(Err(error)) => error,
            Err(error) => return Err(fatal(error)),
        };
        let key = error.path().to_string();
        let name = layers.names.get(&key).cloned().unwrap_or_else(|| long_name(&key));
        layers.mistakes.push(format!("{name}: {}", plain(&error.into_inner())));
        let default = defaults.get::<Value>(&key).and_then(|value| builder.clone().set_override(&key, value));
        builder = default.map_err(|_| Mistakes(layers.mistakes.clone()))?;
    }
}

/// Whether `variable` is the long name of `key` with single underscores.
fn is_flat(variable: &str, key: &str) -> bool {
    variable == format!("OCTAVO_{}", key.to_uppercase().replace('.', "_"))
}

fn long_name(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"))
}

/// The reason alone: `config` adds the key, which our message already begins with, and its own names for types.
fn plain(error: &ConfigError) -> String {
    match error {
        ConfigError::Type { unexpected, expected, .. } => {
            let expected = match *expected {
                "a boolean" => "true or false",
                number if number.contains("integer") => "a whole number in its range",
                other => other,
            };
            let value = unexpected.to_string();
            let value = value.split_once('`').map_or(value.as_str(), |(_, rest)| rest.trim_end_matches('`'));
            format!("is {value}, must be {expected}")
        }
        ConfigError::At { error, .. } => plain(error),
        other => other.to_string(),
    }
}

fn read_file(path: &Path) -> Result<config::Config, Mistakes> {
    let told = |what: String| Mistakes(vec![format!("{}: {what}", path.display())]);
    let text = std::fs::read_to_string(path).map_err(|error| told(format!("cannot be read: {error}")))?;
    // The parser quotes the line, which may hold a secret: we report only where it is, and what is wrong.
    parse(&text).map_err(|error| {
        let error = error.to_string();
        let lines: Vec<_> = error.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let place = lines.iter().find(|line| line.contains(" at line ")).copied().unwrap_or_default();
        told(format!("is not TOML: {place}: {}", lines.last().copied().unwrap_or_default()))
    })
}

fn parse(toml: &str) -> Result<config::Config, ConfigError> {
    config::Config::builder().add_source(File::from_str(toml, FileFormat::Toml)).build()
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn fatal(error: ConfigError) -> Mistakes {
    Mistakes(vec![error.to_string()])
}

/// Levenshtein's edit distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let best = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[b.len()]
}

/// All keys of `config`, as `table.key`.
fn keys(config: &config::Config) -> Result<Vec<String>, Mistakes> {
    fn walk(prefix: &str, value: &Value, into: &mut Vec<String>) {
        match &value.kind {
            ValueKind::Table(table) => {
                for (key, value) in table {
                    let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                    walk(&path, value, into);
                }
            }
            _ => into.push(prefix.to_owned()),
        }
    }
    let mut all = Vec::new();
    for (key, value) in config.collect().map_err(fatal)? {
        walk(&key, &value, &mut all);
    }
    all.sort();
    Ok(all)
}
