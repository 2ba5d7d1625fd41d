//! Where a secret is to be read, and how one is kept.

use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use secrecy::SecretString;

/// The largest file that is taken for a secret, in bytes: an RSA key of 16,384 bits has 12,700.
const LARGEST: u64 = 64 << 10;

/// The secrets by the name of their systemd credential, with the key that they belong to.
pub(super) const NAMES: [(&str, &str); 8] = [
    ("hubspot_token", "hubspot.token"),
    ("hubspot_client_secret", "hubspot.client_secret"),
    ("salesforce_client_secret", "salesforce.client_secret"),
    ("salesforce_key", "salesforce.key"),
    ("hubspot_webhook_secret", "webhooks.secret"),
    ("hubspot_developer_key", "webhooks.developer_key"),
    ("notice_receivers", "notices.receivers"),
    ("http_token", "http.token"),
];

/// Where one secret is to be read. It is read when it is needed, so that `lockstep settings` and
/// `lockstep check` need none.
#[derive(Debug, Clone)]
pub struct Secret {
    /// The credential's name: `hubspot_token`.
    pub name: &'static str,
    /// The settings' key, to which `_file` is added: `hubspot.token`.
    pub key: &'static str,
    pub(super) variable: Option<SecretString>,
    pub(super) file: Option<PathBuf>,
    pub(super) credential: Option<PathBuf>,
}

/// Why a secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It is nowhere.
    #[error(
        "no {name}: set {key}_file in the settings, {variable} in the environment, or give the \
         service the credential {name} (systemd: LoadCredential={name}:/path)"
    )]
    Absent {
        /// The credential's name.
        name: &'static str,
        /// The settings' key.
        key: &'static str,
        /// The environment variable.
        variable: String,
    },
    /// Its file cannot be read.
    #[error("cannot read the {name} from {path}: {source}")]
    Unreadable {
        /// The credential's name.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Its file is empty, too large or not text.
    #[error("{path} does not hold the {name}: {found}")]
    Unfit {
        /// The credential's name.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: &'static str,
    },
}

impl Secret {
    /// The environment variable that may hold it.
    #[must_use]
    pub fn variable(&self) -> String {
        super::load::variable(self.key)
    }

    /// Where it would be read, in words, without reading it.
    #[must_use]
    pub fn whence(&self) -> Option<String> {
        if self.variable.is_some() {
            return Some(format!("the environment ({})", self.variable()));
        }
        let (path, what) = match (&self.file, &self.credential) {
            (Some(file), _) => (file, "the file"),
            (None, Some(credential)) => (credential, "the systemd credential"),
            (None, None) => return None,
        };
        Some(format!("{what} {}", path.display()))
    }

    /// Reads it; blanks and line ends around it are dropped.
    ///
    /// # Errors
    /// Where it is nowhere, or its file cannot be read or holds no secret.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        if let Some(secret) = &self.variable {
            return Ok(secret.clone());
        }
        let Some(path) = self.file.as_ref().or(self.credential.as_ref()) else {
            return Err(SecretError::Absent {
                name: self.name,
                key: self.key,
                variable: self.variable(),
            });
        };
        let unreadable =
            |source| SecretError::Unreadable { name: self.name, path: path.clone(), source };
        let unfit = |found| SecretError::Unfit { name: self.name, path: path.clone(), found };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.permissions().mode();
        if mode & 0o004 != 0 {
            tracing::warn!(
                path = %path.display(), secret = self.name,
                "every user of this machine can read this secret: chmod o-r"
            );
        }
        let mut bytes = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > LARGEST {
            return Err(unfit("it is larger than 64 KiB"));
        }
        let text = String::from_utf8(bytes).map_err(|_| unfit("it is not text"))?;
        match text.trim() {
            "" => Err(unfit("it is empty")),
            trimmed => Ok(SecretString::from(trimmed.to_owned())),
        }
    }
}

/// Writes `text` to `path` so that only its owner can read it, and so that a cut leaves either the
/// old text or the new: a rotated refresh token that is lost locks the service out.
///
/// # Errors
/// Where the directory cannot be written.
pub fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(directory)?;
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    // An old half-written one may have other permissions.
    match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    std::fs::File::open(directory)?.sync_all()
}
