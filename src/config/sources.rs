//! Where settings come from: built-in defaults, a file, the environment.

use std::path::PathBuf;

use config::{ConfigBuilder, File, FileFormat, Source, Value, ValueKind, builder::DefaultState};

use super::{Environment, Mistakes, settings::Settings};

const DEFAULTS: &str = include_str!("../../config/default.toml");

/// The platform's own variables, and the settings that they are.
const PLATFORM: [(&str, &str); 6] = [
    ("PORT", "server.port"),
    ("PORT_MESSAGES_USERS", "socket.port"),
    ("MONGODB_URI", "mongodb.uri"),
    ("REDIS_HOST", "redis.host"),
    ("REDIS_PORT", "redis.port"),
    ("JWT_SECRET", "auth.secret"),
];

const PREFIX: &str = "OCTAVO__";

/// Reads all sources; what is wrong is put back to its default and told in the list, so that the rest is read too.
///
/// # Errors
/// When a source cannot be read at all.
pub(super) fn read(file: Option<PathBuf>, env: &Environment) -> Result<(Settings, Vec<String>), Mistakes> {
    let fatal = |error: config::ConfigError| Mistakes(vec![error.to_string()]);
    let defaults = config::Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml)).build();
    let defaults = defaults.map_err(fatal)?;
    let known = keys(&defaults).map_err(fatal)?;
    let mut builder = config::Config::builder().add_source(defaults.clone());
    let mut mistakes = Vec::new();

    if let Some(path) = file {
        let file = config::Config::builder().add_source(File::from(path.clone())).build().map_err(fatal)?;
        for key in keys(&file).map_err(fatal)? {
            if known.contains(&key) {
                let value = file.get::<Value>(&key).map_err(fatal)?;
                builder = builder.set_override(&key, value).map_err(fatal)?;
            } else {
                mistakes.push(unknown(
                    &format!("{} in {}", key, path.display()),
                    &key,
                    &known,
                    str::to_owned,
                ));
            }
        }
    }
    for (variable, value) in env.iter().filter(|(variable, _)| variable.starts_with(PREFIX)) {
        let key = variable[PREFIX.len()..].to_lowercase().replace("__", ".");
        if known.contains(&key) {
            builder = builder.set_override(&key, value.as_str()).map_err(fatal)?;
        } else {
            mistakes.push(unknown(variable, &key, &known, long_name));
        }
    }
    for (variable, key) in PLATFORM {
        if let Some(value) = env.get(variable).filter(|value| !value.is_empty()) {
            builder = builder.set_override(key, value.as_str()).map_err(fatal)?;
        }
    }
    typed(builder, &defaults, env, mistakes)
}

/// Makes [`Settings`], putting each value that does not fit back to its default until all fit.
fn typed(
    mut builder: ConfigBuilder<DefaultState>,
    defaults: &config::Config,
    env: &Environment,
    mut mistakes: Vec<String>,
) -> Result<(Settings, Vec<String>), Mistakes> {
    loop {
        let merged = builder.clone().build();
        let error = match merged.map(serde_path_to_error::deserialize::<_, Settings>) {
            Ok(Ok(settings)) => return Ok((settings, mistakes)),
            Ok(Err(error)) => error,
            Err(error) => return Err(Mistakes(vec![error.to_string()])),
        };
        let key = error.path().to_string();
        let reason = plain(&error.into_inner());
        mistakes.push(format!("{}: {reason}", variable_of(&key, env)));
        let default = defaults.get::<Value>(&key).and_then(|value| builder.clone().set_override(&key, value));
        builder = default.map_err(|_| Mistakes(mistakes.clone()))?;
    }
}

/// The variable that sets `key`: the platform's, unless only the long one is set.
fn variable_of(key: &str, env: &Environment) -> String {
    let platform = PLATFORM.iter().find(|(_, k)| *k == key).map(|(variable, _)| *variable);
    match platform {
        Some(variable) if env.contains_key(variable) || !env.contains_key(&long_name(key)) => {
            variable.to_owned()
        }
        _ => long_name(key),
    }
}

fn long_name(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"))
}

/// The reason alone: `config` adds the key, which stands before it already.
fn plain(error: &config::ConfigError) -> String {
    match error {
        config::ConfigError::Type { unexpected, expected, .. } => {
            format!("is {unexpected}, must be {expected}")
        }
        config::ConfigError::At { error, .. } => plain(error),
        other => other.to_string(),
    }
}

fn unknown(name: &str, key: &str, known: &[String], show: fn(&str) -> String) -> String {
    let near = known.iter().min_by_key(|candidate| distance(candidate, key));
    match near.filter(|candidate| distance(candidate, key) <= 3) {
        Some(meant) => format!("{name}: no such setting; did you mean {}?", show(meant)),
        None => format!("{name}: no such setting; config/default.toml names them all"),
    }
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
fn keys(config: &config::Config) -> Result<Vec<String>, config::ConfigError> {
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
    for (key, value) in config.collect()? {
        walk(&key, &value, &mut all);
    }
    all.sort();
    Ok(all)
}
