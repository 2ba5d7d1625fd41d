//! Where the refresh token lives.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use secrecy::SecretString;

/// Why a refresh token could not be loaded or saved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TokenStoreError(pub String);

/// Keeps one refresh token, for one account of one platform.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// The refresh token, `None` where nobody has signed in yet.
    ///
    /// # Errors
    /// Where it cannot be read.
    async fn load(&self) -> Result<Option<SecretString>, TokenStoreError>;

    /// Replaces the refresh token, durably: when this returns, a restart finds the new one.
    ///
    /// # Errors
    /// Where it may not be durable.
    async fn save(&self, refresh_token: &SecretString) -> Result<(), TokenStoreError>;
}

/// Keeps the refresh token for as long as the process lives: for the sandbox and for simulations.
#[derive(Debug, Default)]
pub struct MemoryTokenStore(Mutex<Option<SecretString>>);

impl MemoryTokenStore {
    /// A store that holds `refresh_token`.
    #[must_use]
    pub const fn new(refresh_token: Option<SecretString>) -> Self {
        Self(Mutex::new(refresh_token))
    }
}

#[async_trait]
impl TokenStore for MemoryTokenStore {
    async fn load(&self) -> Result<Option<SecretString>, TokenStoreError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn save(&self, refresh_token: &SecretString) -> Result<(), TokenStoreError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(refresh_token.clone());
        Ok(())
    }
}
