//! Why a command failed, as people and programs are told.

use std::error::Error;

use super::Exit;
use crate::daemon::{ConnectError, LoginError, Unreadable};
use crate::platform;
use crate::sandbox::server::ServeError;
use crate::settings::{SecretError, SettingsError};

/// A failure: how the command ends, what happened, what was behind it, and what to do.
#[derive(Debug)]
pub struct Failure {
    /// How the command ends.
    pub exit: Exit,
    /// What happened.
    pub message: String,
    /// What was behind it, the nearest first.
    pub causes: Vec<String>,
    /// What to do.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a cause.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), causes: Vec::new(), hint: None }
    }

    /// A failure with what was behind it.
    pub fn of(exit: Exit, message: impl Into<String>, cause: &dyn Error) -> Self {
        let mut failure = Self::new(exit, message);
        failure.add(Some(cause));
        failure
    }

    /// An error's own message and what was behind it.
    pub fn from_error(exit: Exit, error: &dyn Error) -> Self {
        let mut failure = Self::new(exit, error.to_string());
        failure.add(error.source());
        failure
    }

    /// With what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn add(&mut self, mut cause: Option<&dyn Error>) {
        while let Some(error) = cause {
            let text = error.to_string();
            // Many errors repeat their source in their own text.
            let said = self.causes.last().unwrap_or(&self.message);
            if !said.contains(&text) {
                self.causes.push(text);
            }
            cause = error.source();
        }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self::from_error(Exit::Usage, &error)
            .hint("`lockstep settings --defaults` lists every setting with its default")
    }
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        Self::from_error(Exit::Usage, &error)
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        Self::from_error(Exit::Usage, &error)
    }
}

impl From<Unreadable> for Failure {
    fn from(error: Unreadable) -> Self {
        Self::from_error(Exit::Usage, &error)
    }
}

impl From<platform::Error> for Failure {
    fn from(error: platform::Error) -> Self {
        let mut failure = Self::new(Exit::Platform, error.told());
        failure.hint = error.hint;
        failure
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Platform(error) => Self { exit: Exit::Usage, ..error.into() },
            ConnectError::Net(_) | ConnectError::Random => Self::from_error(Exit::Internal, &error),
            other => Self::from_error(Exit::Usage, &other)
                .hint("`lockstep settings --defaults` explains each setting"),
        }
    }
}

impl From<LoginError> for Failure {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Connect(error) => error.into(),
            LoginError::Refused(error) => error.into(),
            LoginError::Listen { .. } => Self::from_error(Exit::Usage, &error)
                .hint("choose another port with --port, and register it with the app"),
            LoginError::TooLate => Self::from_error(Exit::Platform, &error),
        }
    }
}
