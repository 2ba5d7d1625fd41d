//! Layers: defaults, systemd's directories, the file, the environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{Config, ConfigError, File, FileFormat, Value, ValueKind};
use secrecy::SecretString;

use super::secret::{NAMES, Secret};
use super::{DEFAULTS, Settings};

const PREFIX: &str = "LOCKSTEP_";
/// Variables that begin like a setting and are none.
const NOT_SETTINGS: [&str; 1] = ["LOCKSTEP_CONFIG"];
/// Keys whose values are paths. A relative one begins at the folder of the file that says it.
const PATHS: [&str; 14] = [
    "directories.state",
    "directories.runtime",
    "directories.mappings",
    "hubspot.token_file",
    "hubspot.client_secret_file",
    "salesforce.client_secret_file",
    "salesforce.key_file",
    "webhooks.secret_file",
    "webhooks.certificate_file",
    "webhooks.key_file",
    "webhooks.developer_key_file",
    "http.token_file",
    "notices.receivers_file",
    "salesforce.events_ca_file",
];

/// What settings are made of. A value, so that a test needs neither files nor an environment.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The settings file's path and text.
    pub file: Option<(PathBuf, String)>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
}

impl Sources {
    /// Reads the file (the one named, else the first of the usual places that exists) and the
    /// process's environment.
    ///
    /// # Errors
    /// Where the named file, or an existing one, cannot be read.
    pub fn read(named: Option<&Path>) -> Result<Self, SettingsError> {
        let environment = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let path = named.map(Path::to_path_buf).or_else(default_file);
        let file = path
            .map(|path| match std::fs::read_to_string(&path) {
                Ok(text) => Ok((path, text)),
                Err(source) => Err(SettingsError::Unreadable { path, source }),
            })
            .transpose()?;
        Ok(Self { file, environment })
    }
}

/// The settings file that is used where none is named: `/etc/lockstep/lockstep.toml`, else
/// `lockstep.toml` in the working directory.
#[must_use]
pub fn default_file() -> Option<PathBuf> {
    ["/etc/lockstep/lockstep.toml", "lockstep.toml"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The defaults.
    Default,
    /// A directory that systemd made for the service, by its variable.
    Systemd(&'static str),
    /// The settings file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Systemd(variable) => write!(f, "systemd (${variable})"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(variable) => f.write_str(variable),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The setting, or what was written in its place.
    pub key: String,
    /// Where it stands.
    pub origin: Origin,
    /// What was found, and what would be right.
    pub what: String,
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.origin, self.key, self.what)
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings file {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{path} is not TOML: {reason}")]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// Something in the settings is wrong.
    #[error("{}", list(.0))]
    Mistakes(Vec<Mistake>),
}

fn list(mistakes: &[Mistake]) -> String {
    let count = match mistakes.len() {
        1 => "1 mistake in the settings".to_owned(),
        more => format!("{more} mistakes in the settings"),
    };
    mistakes.iter().fold(count, |text, mistake| format!("{text}\n  {mistake}"))
}

/// A setting that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `polling.sweep`.
    pub key: String,
    /// As it would stand in a file; for a secret, where it would be read.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether it is a secret, of which the value says no more than where it is.
    pub secret: bool,
}

/// The settings in force.
#[derive(Debug, Clone)]
pub struct Effective {
    /// The settings.
    pub settings: Settings,
    /// Each with its origin, in the order of the defaults.
    pub entries: Vec<Entry>,
    /// The file that was read.
    pub file: Option<PathBuf>,
    secrets: BTreeMap<&'static str, Secret>,
}

impl Effective {
    /// Where the secret with this credential's name is to be read: `hubspot_token`,
    /// `hubspot_client_secret`, `salesforce_client_secret`, `salesforce_key`,
    /// `hubspot_webhook_secret`, `hubspot_developer_key`, `notice_receivers` or `http_token`.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets.get(name)
    }
}

type Leaves = BTreeMap<String, (Value, Origin)>;

/// Lays the sources over the defaults.
///
/// # Errors
/// All mistakes at once; where the file is not TOML, only that.
pub fn load(sources: &Sources) -> Result<Effective, SettingsError> {
    let known = known();
    let mut mistakes = Vec::new();
    let mut leaves: Leaves = defaults()?;
    for (variable, key) in
        [("STATE_DIRECTORY", "directories.state"), ("RUNTIME_DIRECTORY", "directories.runtime")]
    {
        // systemd lists several, parted by colons, where the unit names several.
        let first = sources.environment.get(variable).and_then(|list| list.split(':').next());
        if let Some(path) = first.filter(|path| !path.is_empty()) {
            let value = Value::new(None, ValueKind::String(path.to_owned()));
            leaves.insert(key.to_owned(), (value, Origin::Systemd(variable)));
        }
    }
    if let Some((path, text)) = &sources.file {
        let file = from_file(path, text)?;
        take(&known, file, &mut leaves, &mut mistakes);
    }
    let (environment, secrets) = from_environment(&sources.environment);
    take(&known, environment, &mut leaves, &mut mistakes);

    let settings = deserialise(leaves.clone(), &mut mistakes)?;
    mistakes.sort_by_key(|mistake| {
        let place = known.iter().position(|key| *key == mistake.key);
        (matches!(mistake.origin, Origin::Environment(_)), place.is_some(), place)
    });
    if !mistakes.is_empty() {
        return Err(SettingsError::Mistakes(mistakes));
    }
    let secrets = secret_places(&settings, secrets, &sources.environment);
    Ok(Effective {
        entries: entries(&known, &leaves, &secrets),
        file: sources.file.as_ref().map(|(path, _)| path.clone()),
        settings,
        secrets,
    })
}

/// All keys in the order of the defaults, those without a default included: `# key = value` in the
/// text is one.
fn known() -> Vec<String> {
    let mut section = "";
    let mut keys = Vec::new();
    for line in DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if let Some((key, _)) = line.strip_prefix("# ").unwrap_or(line).split_once(" = ")
            && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        {
            keys.push(format!("{section}.{key}"));
        }
    }
    keys
}

fn toml(text: &str) -> Result<Config, ConfigError> {
    Config::builder().add_source(File::from_str(text, FileFormat::Toml)).build()
}

fn flatten(value: Value, key: &str, into: &mut Vec<(String, Value)>) {
    match value.kind.clone() {
        // An empty table stays, so that a misspelt section without a key is noticed too.
        ValueKind::Table(table) if !table.is_empty() => {
            let ordered: BTreeMap<String, Value> = table.into_iter().collect();
            for (name, value) in ordered {
                let key = if key.is_empty() { name } else { format!("{key}.{name}") };
                flatten(value, &key, into);
            }
        }
        _ => into.push((key.to_owned(), value)),
    }
}

fn leaves_of(config: Config) -> Vec<(String, Value)> {
    let mut leaves = Vec::new();
    flatten(config.cache, "", &mut leaves);
    leaves
}

fn defaults() -> Result<Leaves, SettingsError> {
    let config = toml(DEFAULTS).map_err(|error| SettingsError::NotToml {
        path: PathBuf::from("the built-in defaults"),
        reason: error.to_string(),
    })?;
    Ok(leaves_of(config).into_iter().map(|(key, value)| (key, (value, Origin::Default))).collect())
}

fn from_file(path: &Path, text: &str) -> Result<Vec<(String, Value, Origin)>, SettingsError> {
    let config = toml(text).map_err(|error| SettingsError::NotToml {
        path: path.to_path_buf(),
        reason: error.to_string(),
    })?;
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    Ok(leaves_of(config)
        .into_iter()
        .map(|(key, value)| {
            let value = match &value.kind {
                ValueKind::String(text) if PATHS.contains(&key.as_str()) && !text.is_empty() => {
                    let whole = folder.join(text).to_string_lossy().into_owned();
                    Value::new(None, ValueKind::String(whole))
                }
                _ => value,
            };
            (key, value, Origin::File(path.to_path_buf()))
        })
        .collect())
}

type Secrets = BTreeMap<&'static str, SecretString>;

fn from_environment(all: &BTreeMap<String, String>) -> (Vec<(String, Value, Origin)>, Secrets) {
    let mut secrets = Secrets::new();
    let mut leaves = Vec::new();
    for (variable, text) in all {
        let Some(rest) = variable.strip_prefix(PREFIX) else { continue };
        if NOT_SETTINGS.contains(&variable.as_str()) {
            continue;
        }
        let key = rest.to_lowercase().replace("__", ".");
        if let Some((name, _)) = NAMES.iter().find(|(_, secret)| *secret == key) {
            if !text.trim().is_empty() {
                secrets.insert(name, SecretString::from(text.trim().to_owned()));
            }
            continue;
        }
        let value = Value::new(None, ValueKind::String(text.clone()));
        leaves.push((key, value, Origin::Environment(variable.clone())));
    }
    (leaves, secrets)
}

/// The environment variable of a key.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// Takes what is known and complains about the rest.
fn take(
    known: &[String],
    layer: Vec<(String, Value, Origin)>,
    leaves: &mut Leaves,
    mistakes: &mut Vec<Mistake>,
) {
    for (key, value, origin) in layer {
        let empty = matches!(&value.kind, ValueKind::Table(table) if table.is_empty());
        // A file without any setting has an empty table without a name.
        if empty && key.is_empty() {
            continue;
        }
        if empty && known.iter().any(|known| known.split('.').next() == Some(key.as_str())) {
            continue;
        }
        if known.contains(&key) {
            leaves.insert(key, (value, origin));
        } else {
            mistakes.push(Mistake { what: unknown(known, &key, &origin), key, origin });
        }
    }
}

fn unknown(known: &[String], key: &str, origin: &Origin) -> String {
    if NAMES.iter().any(|(_, secret)| *secret == key) {
        return format!(
            "a secret does not stand in this file; put it into a file of its own, set {key}_file \
             to its path, and give out a new one if others could read this one"
        );
    }
    let spelled = |key: &str| match origin {
        Origin::Environment(_) => variable(key),
        _ => key.to_owned(),
    };
    let section = key.split('.').next().unwrap_or(key);
    let in_section: Vec<&str> =
        known.iter().filter_map(|key| key.strip_prefix(section)?.strip_prefix('.')).collect();
    let candidates =
        known.iter().flat_map(|key| [key.as_str(), key.split('.').next().unwrap_or(key)]);
    let meant = nearest(key, candidates.filter(|candidate| *candidate != section))
        .map(|near| format!("did you mean {}?", spelled(near)));
    let rest = meant.unwrap_or_else(|| {
        if in_section.is_empty() {
            "`lockstep settings --defaults` lists all".to_owned()
        } else {
            format!("[{section}] has {}", in_section.join(", "))
        }
    });
    format!("there is no such setting; {rest}")
}

/// The candidate that a person most likely meant, where one is near.
pub(super) fn nearest<'a>(
    found: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(found, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.88)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// Reads the leaves; each wrong one is noted and read as its default, so that the next one is found
/// as well.
fn deserialise(mut leaves: Leaves, mistakes: &mut Vec<Mistake>) -> Result<Settings, SettingsError> {
    let defaults = defaults()?;
    loop {
        let mut builder = Config::builder();
        for (key, (value, _)) in &leaves {
            builder = builder
                .set_override(key, value.kind.clone())
                .map_err(|error| internal(&error.to_string()))?;
        }
        let error = match builder.build().and_then(Config::try_deserialize::<Settings>) {
            Ok(settings) => return Ok(settings),
            Err(error) => error,
        };
        let (key, what) = parts(&error);
        let Some((_, origin)) =
            leaves.remove(&key).filter(|(_, origin)| *origin != Origin::Default)
        else {
            return Err(internal(&error.to_string()));
        };
        if let Some(default) = defaults.get(&key) {
            leaves.insert(key.clone(), default.clone());
        }
        mistakes.push(Mistake { key, origin, what });
    }
}

/// The defaults themselves are wrong: a mistake of this program, which a test rules out.
fn internal(reason: &str) -> SettingsError {
    SettingsError::Mistakes(vec![Mistake {
        key: "the built-in defaults".to_owned(),
        origin: Origin::Default,
        what: reason.to_owned(),
    }])
}

/// The key that an error is about, and what it says without it.
fn parts(error: &ConfigError) -> (String, String) {
    match error {
        ConfigError::At { error, key, .. } => (key.clone().unwrap_or_default(), parts(error).1),
        ConfigError::Type { unexpected, expected, key, .. } => {
            (key.clone().unwrap_or_default(), format!("{unexpected} is not {expected}"))
        }
        other => (String::new(), other.to_string()),
    }
}

fn secret_places(
    settings: &Settings,
    mut variables: Secrets,
    environment: &BTreeMap<String, String>,
) -> BTreeMap<&'static str, Secret> {
    let credentials = environment.get("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    NAMES
        .into_iter()
        .map(|(name, key)| {
            let file = match name {
                "hubspot_token" => &settings.hubspot.token_file,
                "hubspot_client_secret" => &settings.hubspot.client_secret_file,
                "salesforce_client_secret" => &settings.salesforce.client_secret_file,
                "hubspot_webhook_secret" => &settings.webhooks.secret_file,
                "hubspot_developer_key" => &settings.webhooks.developer_key_file,
                "salesforce_key" => &settings.salesforce.key_file,
                "notice_receivers" => &settings.notices.receivers_file,
                _ => &settings.http.token_file,
            };
            let credential =
                credentials.as_ref().map(|folder| folder.join(name)).filter(|path| path.exists());
            let secret = Secret {
                name,
                key,
                variable: variables.remove(name),
                file: file.clone(),
                credential,
            };
            (name, secret)
        })
        .collect()
}

fn entries(
    known: &[String],
    leaves: &Leaves,
    secrets: &BTreeMap<&'static str, Secret>,
) -> Vec<Entry> {
    let settings = known.iter().filter_map(|key| {
        let (value, origin) = leaves.get(key)?;
        let value = match &value.kind {
            ValueKind::String(text) => format!("{text:?}"),
            other => other.to_string(),
        };
        Some(Entry { key: key.clone(), value, origin: origin.clone(), secret: false })
    });
    let secrets = secrets.values().filter_map(|secret| {
        let origin = match (&secret.variable, &secret.file, &secret.credential) {
            (Some(_), ..) => Origin::Environment(secret.variable()),
            // Its `…_file` entry says it all.
            (None, Some(_), _) | (None, None, None) => return None,
            (None, None, Some(_)) => Origin::Systemd("CREDENTIALS_DIRECTORY"),
        };
        Some(Entry { key: secret.key.to_owned(), value: secret.whence()?, origin, secret: true })
    });
    settings.chain(secrets).collect()
}
