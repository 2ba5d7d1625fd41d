//! Mapping files on disk.

use std::path::{Path, PathBuf};

/// A mapping file or its directory cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}")]
pub struct Unreadable {
    /// What was to be read.
    pub path: PathBuf,
    /// The system's reason.
    pub source: std::io::Error,
}

/// Reads a mapping file, or every `*.toml` in a directory, by name: path and text. Editors' backups
/// and hidden files are left out.
///
/// # Errors
/// Where the path does not exist or something in it cannot be read.
pub fn read_mappings(path: &Path) -> Result<Vec<(String, String)>, Unreadable> {
    let fail = |path: &Path| {
        let path = path.to_path_buf();
        move |source| Unreadable { path, source }
    };
    let mut files = Vec::new();
    if std::fs::metadata(path).map_err(fail(path))?.is_dir() {
        for entry in std::fs::read_dir(path).map_err(fail(path))? {
            let file = entry.map_err(fail(path))?.path();
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
            let hidden = name.is_none_or(|name| name.starts_with('.'));
            if !hidden && file.extension().is_some_and(|extension| extension == "toml") {
                files.push(file);
            }
        }
    } else {
        files.push(path.to_path_buf());
    }
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let text = std::fs::read_to_string(&file).map_err(fail(&file))?;
            Ok((file.to_string_lossy().into_owned(), text))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mapping_files_are_read_and_in_order() {
        let folder = std::env::temp_dir().join(format!("lockstep-files-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("dir.toml.d")).unwrap();
        for name in ["b.toml", "a.toml", ".a.toml.swp", ".hidden.toml", "a.toml~", "README.md"] {
            std::fs::write(folder.join(name), name).unwrap();
        }
        let read = read_mappings(&folder).unwrap();
        let texts: Vec<&str> = read.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["a.toml", "b.toml"]);
        assert_eq!(read_mappings(&folder.join("b.toml")).unwrap().len(), 1);
        let error = read_mappings(&folder.join("none.toml")).unwrap_err();
        assert_eq!(error.path, folder.join("none.toml"));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
