//! Refresh tokens on disk.

use std::path::PathBuf;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

use crate::platform::auth::{TokenStore, TokenStoreError};
use crate::settings::write_private;

/// A refresh token in a file that only its owner can read.
#[derive(Debug, Clone)]
pub struct FileTokenStore(pub PathBuf);

impl FileTokenStore {
    async fn off_thread<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(PathBuf) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, TokenStoreError> {
        let path = self.0.clone();
        let told = path.display().to_string();
        match tokio::task::spawn_blocking(move || work(path)).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(TokenStoreError(format!("cannot {doing} {told}: {error}"))),
            Err(error) => Err(TokenStoreError(format!("cannot {doing} {told}: {error}"))),
        }
    }
}

#[async_trait]
impl TokenStore for FileTokenStore {
    async fn load(&self) -> Result<Option<SecretString>, TokenStoreError> {
        self.off_thread("read", |path| match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(SecretString::from(text.trim().to_owned()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    async fn save(&self, refresh_token: &SecretString) -> Result<(), TokenStoreError> {
        let text = SecretString::from(format!("{}\n", refresh_token.expose_secret()));
        self.off_thread("write", move |path| write_private(&path, text.expose_secret())).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_outlives_its_store() {
        let folder = std::env::temp_dir().join(format!("lockstep-tokens-{}", std::process::id()));
        let store = FileTokenStore(folder.join("state").join("hubspot.refresh-token"));
        assert!(store.load().await.unwrap().is_none());
        store.save(&SecretString::from("one")).await.unwrap();
        store.save(&SecretString::from("two")).await.unwrap();
        let again = FileTokenStore(store.0.clone());
        assert_eq!(again.load().await.unwrap().unwrap().expose_secret(), "two");
        std::fs::write(folder.join("file"), "").unwrap();
        let wrong = FileTokenStore(folder.join("file").join("token"));
        assert!(wrong.save(&SecretString::from("x")).await.is_err());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
